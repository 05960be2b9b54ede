"""`fusion run --mask` on real videos and from the command line."""

import json

import cv2
import numpy as np
import pytest

from fusion_core.cli.main import main


@pytest.mark.data
def test_a_mask_folder_on_a_real_video(recordings, tmp_path):
    """The smoke video's first frame with people in its masks is number 80."""
    clip = recordings / "video" / "0117_1620"
    masks = tmp_path / "masks"
    masks.mkdir()
    people = cv2.imread(str(clip / "masks" / "0080.png"), 0)
    for index in (1, 2):
        cv2.imwrite(str(masks / f"{index:04d}.png"), people)
    pictures = {}
    for name, extra in (
        ("with", ["--mask", str(masks)]),
        ("without", ["--config", none(tmp_path)]),
    ):
        folder = tmp_path / name
        arguments = ["--visible", str(clip / "vi.mp4"), "--thermal", str(clip / "ir.mp4"), *extra]
        arguments += ["--prior", "none", "--device", "cpu", "--model", "ctrlfuse"]
        assert main(["run", *arguments, "--max-frames", "3", "--out", f"{folder}/"]) == 0
        pictures[name] = [cv2.imread(str(path)) for path in sorted(folder.glob("*.png"))]
    change = [
        np.abs(a.astype(int) - b)
        for a, b in zip(pictures["with"], pictures["without"], strict=True)
    ]
    assert change[0].max() == 0
    far = cv2.dilate(people, np.ones((65, 65), np.uint8)) == 0
    for changed in change[1:]:
        assert changed[people > 0].mean() > 1
        assert changed[far].mean() < 0.5
    assert json.loads((tmp_path / "run-2.json").read_text())["mask"]["source"] == "none"


def none(folder):
    path = folder / "none.yaml"
    path.write_text("mask: {source: none}\n")
    return str(path)


def test_a_mask_for_a_model_that_takes_none_is_refused(tmp_path, capsys):
    scene = ["--bag", "synthetic://street?seconds=1", "--out", str(tmp_path / "out.mp4")]
    masks = tmp_path / "masks"
    masks.mkdir()
    assert main(["run", *scene, "--mask", str(masks), "--device", "cpu"]) == 2
    assert "takes no mask; models that do: ctrlfuse" in capsys.readouterr().err


def test_a_missing_mask_is_named(tmp_path, capsys):
    scene = ["--bag", "synthetic://street?seconds=1", "--out", str(tmp_path / "out.mp4")]
    options = ["--model", "ctrlfuse", "--mask", "/nowhere", "--device", "cpu"]
    assert main(["run", *scene, *options]) == 1
    assert "/nowhere: no such mask file or folder" in capsys.readouterr().err
