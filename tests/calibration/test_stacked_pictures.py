"""Thermal pictures of which only a part is the image."""

import cv2
import numpy as np
import pytest

from fusion_core.calibration.recording import gray_frames
from fusion_core.cli.calibrate import Calibrate
from fusion_core.errors import ConfigError
from fusion_core.source import open_source


@pytest.fixture
def folders(tmp_path):
    """Return two folders: colour pictures, and thermal ones with another picture above."""
    rng = np.random.default_rng(0)
    for name in ("vi", "ir"):
        (tmp_path / name).mkdir()
    for number in range(3):
        colour = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        stacked = np.zeros((48, 32), np.uint8)
        stacked[24:] = np.linspace(0, 255, 32).astype(np.uint8)
        assert cv2.imwrite(str(tmp_path / "vi" / f"{number}.png"), colour)
        assert cv2.imwrite(str(tmp_path / "ir" / f"{number}.png"), stacked)
    return tmp_path / "vi", tmp_path / "ir"


@pytest.mark.parametrize(("part", "brightest"), [("upper", 0), ("lower", 255)])
def test_calibration_uses_only_the_chosen_part(folders, part, brightest):
    with open_source(visible=folders[0], thermal=folders[1]) as source:
        frames = list(gray_frames(source, thermal_crop=part))
    thermal = [(frame, gray) for frame, gray in frames if frame.modality == "thermal"]
    assert len(thermal) == 3
    assert {frame.image.shape for frame, _ in thermal} == {(24, 32)}
    assert {gray.shape for _, gray in thermal} == {(24, 32)}
    assert {int(frame.image.max()) for frame, _ in thermal} == {brightest}


def test_another_part_is_refused_before_work_starts(tmp_path):
    command = Calibrate(
        visible="vi", thermal="ir", scene="homography", thermal_crop="left", out=tmp_path / "r.yaml"
    )
    with pytest.raises(ConfigError, match="crop"):
        command.run()
