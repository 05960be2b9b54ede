"""Tiny recordings, and what a single `fusion run` makes of them."""

import json

import cv2
import numpy as np

from fusion_core.cli.main import main

SIZE = (96, 64)


def write_pictures(folder, seed, frames, channels=()):
    """Write PNG pictures of a pattern that moves to the right."""
    folder.mkdir(parents=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 12, *channels), np.uint8)
    pattern = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC)
    for frame in range(frames):
        cv2.imwrite(str(folder / f"{frame:03d}.png"), np.roll(pattern, frame, axis=1))


def write_fleet(folder, count, frames):
    """Write recordings as folders of pictures, and the table that names them."""
    lines = ["name,visible,thermal"]
    for number in range(count):
        name = f"drive{number:02d}"
        write_pictures(folder / name / "vi", (number, 0), frames, (3,))
        write_pictures(folder / name / "ir", (number, 1), frames)
        lines.append(f"{name},{name}/vi,{name}/ir")
    table = folder / "fleet.csv"
    table.write_text("\n".join(lines) + "\n")
    return table


def run_alone(recording, out, *options):
    """Fuse one recording with `fusion run`; return its pictures by name and its JSON lines."""
    inputs = ["--visible", str(recording / "vi"), "--thermal", str(recording / "ir")]
    outputs = ["--out", f"{out}/fused/", "--out", f"{out}/fused.jsonl"]
    assert main(["run", *inputs, *outputs, *options]) == 0
    lines = [json.loads(line) for line in (out / "fused.jsonl").read_text().splitlines()]
    return pictures_in(out / "fused"), lines


def pictures_in(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}
