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
    for given in (["--mask", str(masks)], ["--box", "10,10,20,20"]):
        assert main(["run", *scene, *given, "--device", "cpu"]) == 2
        assert "takes no mask; models that do: ctrlfuse" in capsys.readouterr().err


def test_boxes_of_the_command_line_are_marked(tmp_path):
    rng = np.random.default_rng(0)
    thermal = np.full((192, 256), 60, np.uint8)
    thermal[50:70, 50:60] = thermal[42:48, 92:97] = 200
    for name, image in (("vi", rng.integers(40, 90, (192, 256, 3))), ("ir", thermal)):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "0.png"), image.astype(np.uint8))
    pair = ["--visible", str(tmp_path / "vi"), "--thermal", str(tmp_path / "ir")]
    pair += ["--model", "ctrlfuse", "--prior", "none", "--detector", "none", "--device", "cpu"]
    pictures = {}
    boxes = ["--box", "40,40,30,40", "--box", "90,40,9,9"]
    for name, extra in (("plain", ["--set", "mask.source=none"]), ("marked", boxes)):
        assert main(["run", *pair, *extra, "--out", f"{tmp_path / name}/"]) == 0
        (file,) = (tmp_path / name).glob("*.png")
        pictures[name] = cv2.imread(str(file)).astype(int)
    change = np.abs(pictures["marked"] - pictures["plain"])
    assert change[50:70, 50:60].mean() > 1
    assert change[42:48, 92:97].mean() > 1
    assert change[160:].max() == 0


def test_a_missing_mask_is_named(tmp_path, capsys):
    scene = ["--bag", "synthetic://street?seconds=1", "--out", str(tmp_path / "out.mp4")]
    options = ["--model", "ctrlfuse", "--mask", "/nowhere", "--device", "cpu"]
    assert main(["run", *scene, *options]) == 1
    assert "/nowhere: no such mask file or folder" in capsys.readouterr().err
