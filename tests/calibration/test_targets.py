"""Boards: their points, their drawings, and that a drawing is found by the detector."""

import re

import cv2
import numpy as np
import pytest

from fusion_core.calibration.target_detector import TargetDetector
from fusion_core.calibration.targets import Target
from fusion_core.cli.main import main

SPECS = [
    "chessboard:9x6:0.05",
    "circles:4x11:0.035",
    "charuco:7x5:0.06:0.045:DICT_5X5_100",
    "charuco:8x6:0.06:0.04:DICT_APRILTAG_36H11",
    "aprilgrid:6x5:0.05:0.015",
]
PIXELS_PER_MM = 2.0


def rasterised(path):
    """Draw the shapes of a target's SVG, which are all rectangles and circles in millimetres."""
    text = path.read_text()
    width, height = (
        float(v) for v in re.search(r'width="([\d.]+)mm" height="([\d.]+)mm"', text).groups()
    )
    shift = float(re.search(r"translate\(([\d.]+)", text)[1])
    scale = 4 * PIXELS_PER_MM
    picture = np.full((round(height * scale), round(width * scale)), 255, np.uint8)
    number = r'="([\d.e-]+)"'
    for x, y, w, h in re.findall(
        rf'<rect x{number} y{number} width{number} height{number} fill="black"/>', text
    ):
        left, top = (float(x) + shift) * scale, (float(y) + shift) * scale
        right, bottom = left + float(w) * scale, top + float(h) * scale
        picture[round(top) : round(bottom), round(left) : round(right)] = 0
    for x, y, r in re.findall(rf"<circle cx{number} cy{number} r{number}/>", text):
        middle = round((float(x) + shift) * scale), round((float(y) + shift) * scale)
        cv2.circle(picture, middle, round(float(r) * scale), 0, -1)
    return cv2.resize(picture, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA), shift


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("inverted", [False, True])
def test_the_printed_drawing_is_found_where_its_points_are(tmp_path, spec, inverted):
    path = tmp_path / "target.svg"
    assert main(["calibrate", "--target", spec, "--print-target", str(path)]) == 0
    picture, shift = rasterised(path)
    target = Target.parse(spec)
    found = TargetDetector(target).detect_target(255 - picture if inverted else picture)
    assert found is not None
    assert len(found.ids) == len(target.points)
    # Where the board's origin lies on the paper: past its outer squares, circles or gaps.
    outer = {"chessboard": target.size_m, "circles": target.size_m, "charuco": 0.0}
    origin = outer.get(target.kind, target.marker_m) + shift / 1e3
    expected = (target.points + origin) * 1e3 * PIXELS_PER_MM - 0.5
    pixels = found.pixels
    if target.half_turn and np.abs(pixels - expected).max() > 50:
        pixels = pixels[::-1]
    assert np.abs(pixels - expected).max() < 0.6


@pytest.mark.parametrize("spec", SPECS)
def test_a_spec_survives_reading(spec):
    assert Target.parse(spec).spec == spec


def test_points_are_those_of_opencv():
    # cv2.aruco's own corner list of the same board.
    target = Target.parse("charuco:7x5:0.06:0.045")
    corners = np.array(target.board().getChessboardCorners())[:, :2]
    assert np.allclose(target.points, corners)


def test_an_asymmetric_grid_is_shifted_every_second_row():
    # By hand, from the picture in OpenCV's documentation: rows at 0, 1, 2; columns two apart.
    points = Target.parse("circles:3x3:0.1").points
    expected = [[0, 0], [2, 0], [4, 0], [1, 1], [3, 1], [5, 1], [0, 2], [2, 2], [4, 2]]
    assert np.allclose(points, np.array(expected) * 0.1)


def test_a_partly_hidden_charuco_board_gives_the_points_that_are_seen(tmp_path):
    path = tmp_path / "target.svg"
    spec = "charuco:7x5:0.06:0.045"
    assert main(["calibrate", "--target", spec, "--print-target", str(path)]) == 0
    picture, _ = rasterised(path)
    whole = TargetDetector(Target.parse(spec)).detect_target(picture)
    picture[:, : picture.shape[1] // 2] = 255
    half = TargetDetector(Target.parse(spec)).detect_target(picture)
    assert 0 < len(half.ids) < len(whole.ids)
    assert np.allclose(half.pixels, whole.pixels[half.ids], atol=0.3)


def test_an_existing_drawing_is_kept(tmp_path, capsys):
    path = tmp_path / "target.svg"
    path.write_text("mine")
    assert main(["calibrate", "--target", SPECS[0], "--print-target", str(path)]) == 2
    assert path.read_text() == "mine"
