"""What `fusion run` leaves behind: nothing of the input is harmed, every summary is kept."""

import json
import os
import shutil

import cv2
import numpy as np
import pytest

from fusion_core.cli.main import main

SCENE = ["--bag", "synthetic://street?seed=1&registered=1", "--max-frames", "2"]
FAST = ["--device", "cpu", "--prior", "none", "--detector", "none"]


def pictures(folder, seed, channels):
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for index in range(3):
        shape = (48, 64, 3) if channels == 3 else (48, 64)
        cv2.imwrite(str(folder / f"{index:04d}.png"), rng.integers(0, 256, shape, np.uint8))
    return folder


def snapshot(folder):
    """Return the content of all files below a folder, links followed."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with inputs of every kind, some under two names; it is the working directory."""
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path / "vi", 0, 3)
    pictures(tmp_path / "ir", 1, 1)
    clip = ["run", *SCENE, *FAST]
    assert main([*clip, "--out", "clip.mkv", "--out", "bag:drive"]) == 0
    (tmp_path / "run.json").unlink()
    shutil.copy("clip.mkv", "thermal.mkv")
    (tmp_path / "link.mkv").symlink_to("clip.mkv")
    os.link("clip.mkv", "hard.mkv")
    (tmp_path / "link_vi").symlink_to("vi")
    (tmp_path / "config.yaml").write_text("mask: {file: mask.png}\n")
    (tmp_path / "rig.yaml").write_text("homography: [[1, 0, 0], [0, 1, 0], [0, 0, 1]]\n")
    cv2.imwrite("mask.png", np.zeros((48, 64), np.uint8))
    return tmp_path


FOLDERS = ["--visible", "vi", "--thermal", "ir"]
VIDEOS = ["--visible", "clip.mkv", "--thermal", "thermal.mkv"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*VIDEOS, "--out", "clip.mkv"], ["clip.mkv", "is the input"]),
        ([*VIDEOS, "--out", "./vi/../thermal.mkv"], ["thermal.mkv", "is the input"]),
        ([*VIDEOS, "--out", "ok.jsonl", "--out", "link.mkv"], ["link.mkv", "is the input"]),
        ([*VIDEOS, "--out", "hard.mkv"], ["hard.mkv", "is the input"]),
        (["--visible", "link.mkv", *VIDEOS[2:], "--out", "clip.mkv"], ["clip.mkv", "is the input"]),
        ([*FOLDERS, "--out", "vi/"], ["vi", "is the input"]),
        ([*FOLDERS, "--out", "link_vi/"], ["link_vi", "is the input"]),
        (["--visible", "vi/*.png", *FOLDERS[2:], "--out", "vi/"], ["vi", "holds the input"]),
        ([*FOLDERS, "--out", "ir/fused/"], ["fused", "lies in the input"]),
        ([*FOLDERS, "--out", "ir/fused.mp4"], ["fused.mp4", "lies in the input"]),
        (["--bag", "drive", "--out", "drive/fused.mp4"], ["lies in the input drive"]),
        (["--bag", "drive", "--out", "bag:drive"], ["drive", "is the input"]),
        ([*VIDEOS, "--out", "a.mp4", "--report", "clip.mkv"], ["clip.mkv", "is the input"]),
        ([*FOLDERS, "--out", "a.mp4", "--report", "vi/0001.png"], ["lies in the input vi"]),
        ([*VIDEOS, "--out", "a.mp4", "--memory", "link.mkv"], ["link.mkv", "is the input"]),
        ([*VIDEOS, "--out", "a.mp4", "--set", "memory.file=hard.mkv"], ["hard.mkv"]),
        ([*FOLDERS, "--config", "config.yaml", "--report", "config.yaml"], ["config.yaml"]),
        ([*FOLDERS, "--config", "config.yaml", "--report", "mask.png"], ["mask.png"]),
        ([*FOLDERS, "--mask", "mask.png", "--out", "./"], ["mask.png", "could replace"]),
        ([*FOLDERS, "--calibration", "rig.yaml", "--report", "rig.yaml"], ["rig.yaml"]),
        ([*FOLDERS, "--out", "a.mp4", "--out", "./a.mp4"], ["a.mp4 and a.mp4 are the same"]),
        ([*FOLDERS, "--out", "a.jsonl", "--report", "a.jsonl"], ["are the same"]),
        ([*FOLDERS, "--out", "a.jsonl", "--memory", "a.jsonl"], ["are the same"]),
    ],
)
def test_an_output_that_would_destroy_an_input_is_refused(place, capsys, arguments, words):
    before = snapshot(place)
    assert main(["run", *arguments, *FAST]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert all(word in lines[0] for word in words), lines[0]
    assert snapshot(place) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*VIDEOS, "--target", "chessboard:9x6:0.05", "--out", "link.mkv"], "is the input"),
        ([*FOLDERS, "--scene", "affine", "--out", "vi/rig.yaml"], "lies in the input"),
        ([*VIDEOS, "--rig", "rig.yaml", "--out", "new.yaml", "--report", "rig.yaml"], "is the"),
        ([*VIDEOS, "--rig", "rig.yaml", "--out", "a.html", "--report", "a.html"], "are the same"),
        (["--import-kalibr", "rig.yaml", "--out", "rig.yaml"], "is the input"),
    ],
)
def test_a_calibration_that_would_destroy_its_input_is_refused_even_by_force(
    place, capsys, arguments, words
):
    before = snapshot(place)
    assert main(["calibrate", *arguments, "--force"]) == 2
    assert words in capsys.readouterr().err
    assert snapshot(place) == before


def test_a_link_among_the_pictures_is_replaced_and_not_written_through(place):
    (place / "fused").mkdir()
    (place / "fused" / "0001.png").symlink_to(place / "vi" / "0001.png")
    os.link("ir/0002.png", "fused/0002.png")
    before = snapshot(place / "vi"), snapshot(place / "ir")
    assert main(["run", *FOLDERS, "--out", "fused/", *FAST]) == 0
    assert (snapshot(place / "vi"), snapshot(place / "ir")) == before
    assert (place / "fused" / "0001.png").read_bytes() != before[0]["0001.png"]


def test_outputs_beside_the_inputs_are_fine(place):
    assert main(["run", *FOLDERS, "--out", "fused.mkv", "--out", "fused/", *FAST]) == 0
    assert main(["run", *VIDEOS, "--out", "fused.mkv", "--report", "fused.html", *FAST]) == 0


def run(*arguments):
    return main(["run", *SCENE, *FAST, *arguments])


def test_the_summary_names_its_outputs_and_is_replaced_with_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for count in ("1", "2"):
        assert run("--out", "a.mkv", "--out", "bag:b" + count, "--out", "p/") == 0
    assert sorted(path.name for path in tmp_path.glob("run*")) == ["run-2.json", "run.json"]
    for count in ("1", "2"):
        assert run("--out", "a.mkv", "--report", "a.html", "--max-frames", count) == 0
    assert sorted(path.name for path in tmp_path.glob("run*")) == [
        "run-2.json",
        "run-3.json",
        "run.json",
    ]
    first, last = (json.loads((tmp_path / name).read_text()) for name in ("run.json", "run-3.json"))
    assert first["outputs"] == ["a.mkv", "bag:b1", "p/"]
    assert (last["outputs"], last["fused"]) == (["a.mkv", "a.html"], 2)


@pytest.mark.parametrize("content", ["{}", "[1]", "not json", '{"outputs": ["other.mkv"]}'])
def test_a_file_that_is_not_this_runs_summary_is_kept(tmp_path, content, capsys):
    (tmp_path / "run.json").write_text(content)
    assert run("--out", f"{tmp_path}/a.mkv") == 0
    assert (tmp_path / "run.json").read_text() == content
    assert json.loads((tmp_path / "run-2.json").read_text())["fused"] == 2
    assert f"{tmp_path}/run-2.json" in capsys.readouterr().out


def test_a_run_that_fails_keeps_the_summary_and_prints_only_what_there_is(tmp_path, capsys):
    """Stamps of the two folders lie so far apart that nothing makes a pair."""
    out, report = tmp_path / "a.mkv", tmp_path / "a.html"
    outputs = ["--out", str(out), "--report", str(report), *FAST]
    apart = pictures(tmp_path / "vi", 0, 3), pictures(tmp_path / "ir", 1, 1)
    good = ["--visible", str(apart[0]), "--thermal", str(apart[1])]
    assert main(["run", *good, *outputs]) == 0
    kept = (tmp_path / "run.json").read_bytes()
    out.unlink()
    policies = ["--set", "sync.on_missing_thermal=skip", "--set", "sync.on_missing_visible=skip"]
    offset = ["--set", "sync.thermal_offset_ms=5000"]
    capsys.readouterr()
    assert main(["run", *good, *outputs, *policies, *offset]) == 1
    printed = capsys.readouterr()
    assert "no frame was fused" in printed.err
    assert (tmp_path / "run.json").read_bytes() == kept
    failed = json.loads((tmp_path / "run-2.json").read_text())
    assert (failed["fused"], "no frame was fused" in failed["error"]) == (0, True)
    assert not out.exists()
    assert "a.mkv" not in printed.out
    assert str(tmp_path / "run-2.json") in printed.out
    assert "dropped  none" not in printed.out


def test_a_summary_that_cannot_be_written_is_one_line(tmp_path, capsys, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("fusion_core.cli.summary.atomic_path", refuse)
    assert run("--out", f"{tmp_path}/a.mkv") == 1
    assert "run.json: cannot be written (Permission denied)" in capsys.readouterr().err
