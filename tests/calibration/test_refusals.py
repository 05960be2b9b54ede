"""What cannot be calibrated is refused in one line, and no file is written."""

from pathlib import Path

import board_world
import cv2
import numpy as np
import pytest
import yaml
from board_world import part

from fusion_core.cli.main import main

SMALL = board_world.Camera(320, 240, 290.0, 290.0, 159.5, 119.5, (0.0,) * 5)


def refused(capsys, tmp_path, *arguments):
    """Run and return the exit code with the one line on stderr; nothing may be written."""
    out = tmp_path / "refused" / "rig.yaml"
    code = main(["calibrate", *map(str, arguments), "--out", str(out)])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("fusion:")]
    assert len(lines) == 1, lines
    assert not out.exists()
    return code, lines[0]


def streams(recording, spec=None):
    visible, thermal, target = recording
    return ["--visible", visible, "--thermal", thermal, "--target", spec or target]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a function that records a chessboard with two small cameras."""

    def recorded(pose, seconds=2.5):
        folder = tmp_path_factory.mktemp("small")
        board = board_world.chessboard()
        cameras = (SMALL, SMALL)
        places = board_world.record(
            folder, board, seconds, pose=pose, rates_hz=(10.0, 10.0), cameras=cameras
        )
        return (*places, "chessboard:9x6:0.05")

    return recorded


def test_a_board_of_another_kind(boards, tmp_path, capsys):
    some = part(boards("chessboard"), tmp_path, slice(0, 8))
    code, line = refused(capsys, tmp_path, *streams(some, "circles:4x11:0.03"))
    assert code == 1
    assert "circles:4x11:0.03" in line
    assert "none of 8 visible frames" in line


@pytest.mark.parametrize("spec", ["chessboard:8x6:0.05", "chessboard:10x7:0.05"])
def test_a_board_of_other_counts(boards, tmp_path, capsys, spec):
    some = part(boards("chessboard"), tmp_path, slice(10, 20))
    code, line = refused(capsys, tmp_path, *streams(some, spec))
    assert code == 1
    assert spec in line


def test_too_few_views(boards, tmp_path, capsys):
    few = part(boards("charuco"), tmp_path, slice(0, 6))
    code, line = refused(capsys, tmp_path, *streams(few))
    assert code == 1
    assert "6 of 6 frames show the target" in line
    assert "at least 8" in line


def test_a_board_that_is_never_tilted(small, tmp_path, capsys):
    def flat(seconds):
        across, down = 0.3 * np.sin(2.5 * seconds), 0.2 * np.sin(3.4 * seconds + 1)
        return np.eye(3), np.array([across, down, 1.0 + 0.2 * np.sin(1.7 * seconds)])

    code, line = refused(capsys, tmp_path, *streams(small(flat)))
    assert code == 1
    assert "visible: all views of the board are parallel" in line
    assert "tilt it" in line


def test_a_board_in_one_spot(small, tmp_path, capsys):
    def nodding(seconds):
        turn = np.array([0.6 * np.sin(2.1 * seconds), 0.6 * np.sin(2.9 * seconds), 0.0])
        return cv2.Rodrigues(turn)[0], np.array([0.3, 0.2, 2.2])

    code, line = refused(capsys, tmp_path, *streams(small(nodding)))
    assert code == 1
    assert "visible: the board was shown in one spot" in line


def test_a_board_that_stands_still_tells_no_time_offset(small, tmp_path, capsys):
    camera = {
        "image_width": SMALL.width,
        "image_height": SMALL.height,
        "distortion_model": "plumb_bob",
        "distortion_coefficients": [0.0] * 5,
        "camera_matrix": SMALL.k.ravel().tolist(),
    }
    (tmp_path / "camera.yaml").write_text(yaml.safe_dump(camera))
    tilt = cv2.Rodrigues(np.array([0.3, 0.4, 0.0]))[0]
    still = small(lambda _: (tilt, np.array([0.0, 0.0, 1.0])), seconds=1.2)
    info = ["--import-camera-info", tmp_path / "camera.yaml", tmp_path / "camera.yaml"]
    code, line = refused(capsys, tmp_path, *streams(still), *info)
    assert code == 1
    assert "the board moves by" in line
    assert "--time-offset" in line


def test_swapped_inputs(boards, tmp_path, capsys):
    visible, thermal, spec = boards("chessboard")
    code, line = refused(capsys, tmp_path, *streams((thermal, visible, spec)))
    assert code == 1
    assert "swapped" in line
    assert "--monochrome" in line


def test_streams_of_different_recordings(boards, tmp_path, capsys):
    visible, thermal, spec = part(boards("charuco"), tmp_path, slice(None))
    pictures = sorted(Path(thermal).iterdir())
    contents = [picture.read_bytes() for picture in pictures]
    for picture, other in zip(pictures, contents[::-1], strict=True):
        picture.unlink()
        picture.write_bytes(other)
    code, line = refused(capsys, tmp_path, *streams((visible, thermal, spec)))
    assert code == 1
    assert "does not match at any offset" in line or "are consistent with one pose" in line


def test_a_camera_of_another_resolution(boards, tmp_path, capsys):
    camera = {
        "image_width": 640,
        "image_height": 480,
        "distortion_model": "plumb_bob",
        "distortion_coefficients": [0.0] * 5,
        "camera_matrix": [500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0],
    }
    path = tmp_path / "camera.yaml"
    path.write_text(yaml.safe_dump(camera))
    some = part(boards("charuco"), tmp_path, slice(0, 6))
    given = ["--import-camera-info", path, path]
    code, line = refused(capsys, tmp_path, *streams(some), *given)
    assert code == 1
    assert "640x480" in line
    assert "1280x720" in line


def test_files_that_exist_are_kept(tmp_path, capsys):
    out, page = tmp_path / "rig.yaml", tmp_path / "rig.html"
    for path, flag in ((out, "--out"), (page, "--report")):
        path.write_text("mine")
        others = [] if flag == "--out" else ["--out", str(tmp_path / "new.yaml")]
        arguments = ["--visible", "v", "--thermal", "t", "--target", "chessboard:9x6:0.05"]
        assert main(["calibrate", *arguments, flag, str(path), *others]) == 2
        assert "--force" in capsys.readouterr().err
        assert path.read_text() == "mine"


def test_one_stream_only(boards, tmp_path, capsys):
    visible, _, spec = boards("chessboard")
    code, line = refused(capsys, tmp_path, "--visible", visible, "--target", spec)
    assert code == 1
    assert "no thermal frame" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["--target", "--import-kalibr"]),
        (["--target", "chessboard:9x6:0.05", "--import-kalibr", "x"], ["one of", "got --target"]),
        (["--target", "chessbord:9x6:0.05"], ["'chessbord'", "charuco"]),
        (["--target", "chessboard:9x6"], ["chessboard:COLUMNSxROWS:SQUARE"]),
        (["--target", "chessboard:9x6:50"], ["50 m", "metres"]),
        (["--target", "chessboard:6x6:0.05"], ["as many columns as rows"]),
        (["--target", "circles:4x10:0.05"], ["upside down"]),
        (["--target", "charuco:7x5:0.04:0.05"], ["0.05", "0.04"]),
        (["--target", "charuco:7x5:0.05:0.04:DICT_9X9"], ["'DICT_9X9'"]),
        (["--target", "chessboard:9x6:0.05", "--reference-depth", "0"], ["--reference-depth 0"]),
        (["--target", "chessboard:9x6:0.05", "--time-offset", "9e99"], ["--time-offset"]),
        (["--import-kalibr", "x.yaml", "--report", "page.html"], ["--report", "--target"]),
        (["--target", "chessboard:9x6:0.05", "--visible", "/dev/video9"], ["/dev/video9"]),
    ],
)
def test_bad_usage_is_one_line(tmp_path, capsys, arguments, words):
    code, line = refused(capsys, tmp_path, *arguments)
    assert code == 2
    for word in words:
        assert word in line
