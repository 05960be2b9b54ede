"""Training, evaluation and export never replace what they read."""

import cv2
import numpy as np
import pytest
from test_outputs import snapshot

from fusion_core.cli.main import main


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A data set, a clip, a folder of fused pictures and files to start from."""
    monkeypatch.chdir(tmp_path)
    for folder in ("set/vi", "set/ir", "set/labels", "ours", "exposed/a", "exposed/b"):
        (tmp_path / folder).mkdir(parents=True)
        cv2.imwrite(f"{folder}/0001.png", np.full((64, 64), 7, np.uint8))
    (tmp_path / "clips" / "one").mkdir(parents=True)
    for name in ("clips/one/vi.mp4", "clips/one/ir.mp4"):
        (tmp_path / name).write_bytes(b"a video")
    (tmp_path / "run").mkdir()
    for name in ("run/weights.safetensors", "run/recipe.json", "net.onnx"):
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / "link").symlink_to("set/ir")
    return tmp_path


TRAIN = ["train", "--model", "m2pn-edge", "--data", "set"]
CLIP = ["--visible", "clips/one/vi.mp4", "--thermal", "clips/one/ir.mp4"]
STREAM = ["evaluate", *CLIP, "--model", "m2pn-edge"]
SCORE = ["evaluate", "--data", "set"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*TRAIN, "--out", "set/vi"], "set/vi is the input"),
        ([*TRAIN, "--out", "link"], "link is the input"),
        ([*TRAIN, "--out", "set/labels/run"], "lies in the input set/labels"),
        ([*TRAIN, "--out", "run", "--init", "run/weights.safetensors"], "weights.safetensors is"),
        ([*TRAIN, "--out", "run", "--recipe", "run/recipe.json"], "run/recipe.json is the input"),
        ([*TRAIN[:-1], "clips", "--out", "clips/one/vi.mp4"], "vi.mp4 is the input"),
        ([*SCORE, "--baselines", "--out", "set/vi/0001.png"], "lies in the input set/vi"),
        ([*SCORE, "--baselines", "--out", "a.json", "--html", "set/ir/a.html"], "set/ir"),
        ([*SCORE, "--fused", "x=ours", "--out", "ours/0001.png"], "lies in the input ours"),
        ([*SCORE, "--fused", "ours", "--out", "ours/a.json"], "lies in the input ours"),
        ([*SCORE, "--model", "run/weights.safetensors", "--out", "run/weights.safetensors"], "is"),
        ([*SCORE, "--detector", "net.onnx", "--out", "net.onnx"], "net.onnx is the input"),
        ([*SCORE, "--baselines", "--out", "a.json", "--html", "a.json"], "are the same"),
        (["evaluate", "--task", "mef", "--data", "exposed", "--out", "exposed/b/a.json"], "lies"),
        ([*STREAM, "--out", "clips/one/ir.mp4"], "ir.mp4 is the input"),
        (
            ["export", "--model", "run/weights.safetensors", "--out", "run/weights.safetensors"],
            "weights.safetensors is the input",
        ),
    ],
)
def test_outputs_that_would_destroy_an_input_are_refused(place, capsys, arguments, words):
    before = snapshot(place)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert snapshot(place) == before


def test_scores_may_lie_beside_the_pictures(place):
    score = [*SCORE, "--baselines", "--metrics", "EN", "SD", "--workers", "1"]
    (place / "max").mkdir()  # no input, though a method has this name
    assert main([*score, "--out", "set/scores.json", "--html", "max/a.html"]) == 0
    assert (place / "set" / "scores.json").is_file()
