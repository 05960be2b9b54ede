"""The time offset from whatever moves in the scene."""

import cv2
import numpy as np
import pytest

from fusion_core.cli.main import main
from fusion_core.registration import Rig

VISIBLE, THERMAL = (320, 240), (160, 128)
RIG = """
homography: [[0.5, 0, 0], [0, 0.53, 0], [0, 0, 1]]
visible_size: [320, 240]
thermal_size: [160, 128]
thermal_offset_ms: 5.0
"""


def walk(seconds):
    """Places of three things that go to and fro, in shares of the picture."""
    rates = np.array([[0.7, 1.1], [1.3, 0.5], [0.9, 1.7]])
    return 0.5 + 0.35 * np.sin(rates * 2 * seconds + [[0, 1], [2, 3], [4, 5]])


def stream(folder, size, rate_hz, late_ms, thermal, places=walk, seconds=4.0):
    """Write stamped pictures of the scene, in which both cameras see different colours."""
    folder.mkdir()
    rng = np.random.default_rng(int(thermal))
    coarse = rng.integers(60, 160, (6, 8, 1 if thermal else 3), np.uint8)
    ground = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    for index in range(int(seconds * rate_hz)):
        moment = index / rate_hz
        picture = ground.copy()
        for number, (x, y) in enumerate(places(moment)):
            middle = round(16 * x * size[0]), round(16 * y * size[1])
            shade = 250.0 if thermal else (30.0, 60.0 * number, 200.0)
            cv2.circle(picture, middle, round(0.8 * size[1]), shade, -1, cv2.LINE_AA, shift=4)
        picture = np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255)
        picture = np.uint16(20000 + 10 * picture) if thermal else np.uint8(picture)
        stamp = 1_700_000_000_000_000_000 + round((moment + late_ms / 1e3) * 1e9)
        cv2.imwrite(str(folder / f"{stamp}.png"), picture)
    return str(folder)


def retime(tmp_path, *, late_ms=0.0, places=(walk, walk), rig=RIG):
    out, known = tmp_path / "out.yaml", tmp_path / "rig.yaml"
    known.write_text(rig)
    visible = stream(tmp_path / "vi", VISIBLE, 30.0, 0.0, thermal=False, places=places[0])
    thermal = stream(tmp_path / "ir", THERMAL, 20.0, late_ms, thermal=True, places=places[1])
    inputs = ["--visible", visible, "--thermal", thermal, "--rig", str(known)]
    page = tmp_path / "page.html"
    code = main(["calibrate", *inputs, "--out", str(out), "--report", str(page)])
    return code, (Rig.load(out) if out.exists() else None)


@pytest.mark.parametrize("late_ms", [-180.0])
def test_a_known_delay_is_found_to_a_fraction_of_a_frame(tmp_path, late_ms):
    code, rig = retime(tmp_path, late_ms=late_ms)
    assert code == 0
    assert abs(rig.thermal_offset_ms + late_ms) < 5  # frames are 33 and 50 ms apart
    assert rig.homography[0, 0] == 0.5
    assert rig.calibration["time_offset"]["method"] == "motion"
    assert "<svg" in (tmp_path / "page.html").read_text()


def test_a_scene_in_which_nothing_moves_is_refused(tmp_path, capsys):
    code, rig = retime(tmp_path, places=(lambda _: walk(0), lambda _: walk(0)))
    assert (code, rig) == (1, None)
    assert "record an object" in capsys.readouterr().err


def test_streams_that_show_different_motions_are_refused(tmp_path, capsys):
    code, rig = retime(tmp_path, places=(walk, lambda t: walk(7.3 - 1.37 * t)[::-1]))
    assert (code, rig) == (1, None)
    assert "--target" in capsys.readouterr().err


def test_a_rig_of_another_resolution_is_refused(tmp_path, capsys):
    code, rig = retime(tmp_path, rig=RIG.replace("[160, 128]", "[640, 512]"))
    assert (code, rig) == (1, None)
    line = capsys.readouterr().err
    assert "640x512" in line
    assert "160x128" in line
