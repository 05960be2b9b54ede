"""Stability of a fused stream, from the command line to the file."""

import json

import cv2
import numpy as np
import pytest
import tyro

from fusion_core.errors import SourceError, UsageError
from fusion_lab.cli.evaluate import Evaluate


def write_clip(folder, frames):
    for kind in ("vi", "ir"):
        (folder / kind).mkdir(parents=True)
    rng = np.random.default_rng(1)
    still = cv2.resize(rng.integers(40, 200, (6, 8), np.uint8), (96, 64))
    thermal = np.full((64, 96), 60, np.uint8)
    thermal[20:50, 30:50] = 220
    for index in range(frames):
        # The visible stream flickers as a whole by +-3 gray levels; the thermal has faint noise:
        # a camera that repeats its picture exactly has closed its shutter.
        light = still.astype(int) + 3 * (-1) ** index
        thermal = thermal + rng.integers(0, 2, thermal.shape, np.uint8)
        thermal = np.minimum(thermal, 230)
        cv2.imwrite(str(folder / "vi" / f"{index:03d}.png"), light.astype(np.uint8))
        cv2.imwrite(str(folder / "ir" / f"{index:03d}.png"), thermal)
    return folder


def run(folder, out, *more):
    arguments = ["--visible", folder / "vi", "--thermal", folder / "ir", "--out", out, *more]
    return tyro.cli(Evaluate, args=[str(a) for a in arguments]).run()


def test_sources_keep_their_own_stability(tmp_path, capsys):
    clip = write_clip(tmp_path / "clip", 8)
    assert run(clip, tmp_path / "s.json", "--model", "m2pn-edge", "--max-frames", "6") == 0
    written = json.loads((tmp_path / "s.json").read_text())
    (method,) = written["methods"]
    assert written["frames"] == 6
    assert method["method"] == "m2pn-edge"
    # +3 to -3 gray levels from frame to frame: the change of every pixel is 6 in size.
    assert method["warping_error"]["visible"] == pytest.approx(6, rel=0.05)
    assert method["warping_error"]["thermal"] < 1
    assert 0 < method["warping_error"]["fused"] < 6
    assert "warping_error" in capsys.readouterr().out


def test_one_frame_is_too_few(tmp_path):
    with pytest.raises(SourceError, match="1 pairs; stability needs at least two"):
        run(write_clip(tmp_path / "clip", 1), tmp_path / "s.json", "--model", "m2pn-edge")


def test_a_recording_needs_both_streams_and_a_model(tmp_path):
    with pytest.raises(UsageError, match="--model"):
        run(write_clip(tmp_path / "clip", 1), tmp_path / "s.json")


def test_nothing_given_is_refused(tmp_path):
    with pytest.raises(UsageError, match="give --data DIR"):
        tyro.cli(Evaluate, args=["--out", str(tmp_path / "s.json")]).run()
