"""Labelled pairs of the synthetic street and from the air, rendered once per run."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from fusion_core.errors import SinkError
from fusion_core.thermal import ThermalConfig, ThermalProcessor
from fusion_core.types import Box, FloatImage, Frame, UInt8Image
from fusion_lab.data import Example
from fusion_lab.synthetic import SyntheticScene
from fusion_lab.synthetic.aerial import draw_aerial

_SECONDS: Final = 16.0
_OTHER: Final = ("night", "rain", "snow", "smoke")
_LEAST_GROUND: Final = 128  # pixels, of both edges of a part of a recording
_TRIES: Final = 40  # for each part that is wanted


def render(folder: Path, seeds: int) -> None:
    """Write ``vi/``, ``ir/`` and ``labels/``: 22 frames, a second apart, of each seed.

    16 are of a street that goes through day, night, smoke, haze and glare, six of one other
    weather. Thermal pictures are as the pipeline would show them. Seeds that lie there are kept.
    """
    _make_folders(folder)
    for seed in range(seeds):
        if not (folder / f"{seed}.done").exists():
            for name, seconds in (("street", _SECONDS), (_OTHER[seed % 4], 6.0)):
                render_scene(folder, SyntheticScene(name, 1000 + seed, seconds, 1, 1, True))
            (folder / f"{seed}.done").touch()


def render_aerial(folder: Path, seeds: Iterable[int], grounds: Sequence[UInt8Image] = ()) -> None:
    """Write ``vi/``, ``ir/`` and ``labels/``: the pairs from the air of some seeds.

    Pairs that lie there are kept. Thermal is stretched to 8 bit over its own range, as the cameras
    of most drones do; that of every third seed is as the pipeline shows counts of 16 bit.

    Args:
        folder: Where to write.
        seeds: Which pairs.
        grounds: ``HxWx4`` uint8 parts of recordings that two thirds of the seeds lie on by turns;
            without them all ground is drawn.
    """
    _make_folders(folder)
    for seed in seeds:
        stem = f"{seed:04d}"
        if not (folder / "labels" / f"{stem}.csv").exists():
            recorded = bool(grounds) and seed % 3 != 0
            pair = draw_aerial(seed, grounds[seed % len(grounds)] if recorded else None)
            shown = _as_piped if seed // 3 % 3 == 0 else _stretched
            _write(folder / "ir" / f"{stem}.png", shown(pair.celsius))
            _write(folder / "vi" / f"{stem}.png", pair.visible[..., ::-1])
            _write_boxes(folder / "labels" / f"{stem}.csv", pair.boxes)


def render_scene(folder: Path, scene: SyntheticScene) -> None:
    """Write the registered pairs of one scene and their labels."""
    processor = ThermalProcessor(ThermalConfig())
    for frame in scene.frames():
        stem = f"{scene.name}_{scene.seed}_{frame.sequence:02d}"
        if frame.modality == "thermal":
            luminance = processor.process(frame).luminance
            _write(folder / "ir" / f"{stem}.png", np.rint(luminance * 255).astype(np.uint8))
            continue
        assert frame.truth is not None
        _write(folder / "vi" / f"{stem}.png", frame.image[..., ::-1])
        _write_boxes(folder / "labels" / f"{stem}.csv", frame.truth.boxes)


def _make_folders(folder: Path) -> None:
    for name in ("vi", "ir", "labels"):
        (folder / name).mkdir(parents=True, exist_ok=True)


def empty_grounds(pairs: Sequence[Example], count: int, seed: int = 0) -> list[UInt8Image]:
    """Return ``HxWx4`` uint8 parts of pairs in which nothing is labelled, at most ``count``."""
    rng = np.random.default_rng(seed)
    grounds: list[UInt8Image] = []
    for _ in range(_TRIES * count):
        pair = pairs[int(rng.integers(len(pairs)))]
        assert pair.labels is not None, "parts without objects are told by labels"
        size = rng.integers(_LEAST_GROUND, 1 + np.maximum(_LEAST_GROUND, pair.second.shape))
        top, left = rng.integers(0, 1 + np.maximum(0, pair.second.shape - size))
        bottom, right = np.minimum(pair.second.shape, size + np.array([top, left]))
        x0, y0, x1, y1 = pair.labels.boxes.T
        if not ((x0 < right) & (x1 > left) & (y0 < bottom) & (y1 > top)).any():
            whole = np.dstack([pair.first, pair.second])
            grounds.append(np.asarray(whole[top:bottom, left:right], np.uint8))
        if len(grounds) == count:
            break
    return grounds


def _as_piped(celsius: FloatImage) -> UInt8Image:
    """Return what the pipeline makes of a picture of a camera of 16 bit."""
    counts = np.clip(np.rint((celsius + 100) * 100), 0, 65535).astype(np.uint16)
    frame = Frame(0, "thermal", counts, "mono16")
    luminance = ThermalProcessor(ThermalConfig()).process(frame).luminance
    return np.asarray(np.rint(luminance * 255), np.uint8)


def _stretched(celsius: FloatImage) -> UInt8Image:
    low, high = np.percentile(celsius, (0.5, 99.5))
    share = (celsius - low) / max(float(high - low), 1.0)
    return np.asarray(np.rint(255 * share.clip(0, 1)), np.uint8)


def _write_boxes(path: Path, boxes: Iterable[tuple[str, Box]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("label", "x", "y", "w", "h"))
        rows.writerows((label, *map(round, box)) for label, box in boxes)


def _write(path: Path, image: UInt8Image) -> None:
    if not cv2.imwrite(str(path), image):
        raise SinkError(f"{path}: cannot be written; check the folder")
