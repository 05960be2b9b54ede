"""One homography from the scene itself."""

import cv2
import numpy as np

from fusion_core.calibration.scene import _fit_map
from fusion_core.cli.main import main
from fusion_core.registration import Rig

VISIBLE, THERMAL = (480, 360), (320, 256)
# Thermal pixel ~ TRUTH @ visible pixel: another scale, a shift of a fifth of the picture, a turn.
TRUTH = np.array([[0.80, 0.012, -42.0], [-0.010, 0.81, -18.0], [2e-5, -1e-5, 1.0]])


def scene(seed):
    """Boxes and discs of random shade for both cameras: same outlines, unrelated brightness."""
    rng = np.random.default_rng(seed)
    colour = np.full((*VISIBLE[::-1], 3), 90, np.uint8)
    heat = np.full(VISIBLE[::-1], 90, np.uint8)
    for _ in range(90):
        x, y = rng.integers(0, VISIBLE)
        side = rng.integers(15, 60, 2)
        shades = [int(v) for v in rng.integers(0, 255, 4)]
        if rng.random() < 0.5:
            corner = (int(x + side[0]), int(y + side[1]))
            cv2.rectangle(colour, (int(x), int(y)), corner, shades[:3], -1)
            cv2.rectangle(heat, (int(x), int(y)), corner, shades[3], -1)
        else:
            cv2.circle(colour, (int(x), int(y)), int(side[0] // 2), shades[:3], -1)
            cv2.circle(heat, (int(x), int(y)), int(side[0] // 2), shades[3], -1)
    return colour, heat


def record(folder, make, count=3):
    rng = np.random.default_rng(5)
    for name in ("vi", "ir"):
        (folder / name).mkdir()
    for index in range(count):
        colour, heat = make(index)
        warm = cv2.warpPerspective(heat, TRUTH, THERMAL, borderMode=cv2.BORDER_REFLECT)
        counts = 20000 + 8 * cv2.GaussianBlur(warm.astype(np.float32), None, 0.8)
        counts += rng.normal(0, 12, counts.shape)
        cv2.imwrite(str(folder / "vi" / f"{index}.png"), colour)
        cv2.imwrite(str(folder / "ir" / f"{index}.png"), counts.astype(np.uint16))
    return ["--visible", str(folder / "vi"), "--thermal", str(folder / "ir")]


def test_a_known_map_is_found_from_the_outlines(tmp_path):
    inputs, out = record(tmp_path, scene), tmp_path / "rig.yaml"
    page = tmp_path / "rig.html"
    arguments = ["--scene", "homography", "--out", str(out), "--report", str(page)]
    assert main(["calibrate", *inputs, *arguments]) == 0
    rig = Rig.load(out)
    assert (rig.visible_size, rig.thermal_size) == (VISIBLE, THERMAL)
    points = np.array([(x, y) for x in (90, 200, 320, 420) for y in (50, 150, 250, 320)], float)
    mapped, true = (
        cv2.perspectiveTransform(points.reshape(-1, 1, 2), matrix).reshape(-1, 2)
        for matrix in (rig.homography, TRUTH)
    )
    assert np.linalg.norm(mapped - true, axis=1).max() < 1.5
    assert page.read_text().count("<img ") == 12


def test_an_affine_map_comes_as_near_as_one_can():
    # By hand: three points determine an affine map, a fourth that fits it changes nothing.
    points = np.array([(0, 0), (100, 0), (0, 100), (100, 100)], float).reshape(-1, 1, 2)
    true = np.array([[0.5, 0.1, 3.0], [-0.1, 0.6, 4.0], [0, 0, 1]])
    found = _fit_map(points, cv2.perspectiveTransform(points, true), "affine")
    assert np.allclose(found, true)


def test_views_without_common_outlines_are_refused(tmp_path, capsys):
    inputs = record(tmp_path, lambda index: (scene(index)[0], scene(index + 50)[1]))
    out = tmp_path / "rig.yaml"
    assert main(["calibrate", *inputs, "--scene", "homography", "--out", str(out)]) == 1
    assert "--target" in capsys.readouterr().err
    assert not out.exists()
