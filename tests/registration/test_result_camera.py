"""The camera of a result's pixels: the frame's own, else the rig's."""

from pathlib import Path

import numpy as np
import pytest

from fusion_core.registration import Registrar, Rig
from fusion_core.types import CameraModel, Frame, ThermalImage

RIG = Path(__file__).resolve().parents[2] / "calibration" / "boson_640.yaml"
OWN = CameraModel(1280, 960, "plumb_bob", (0.0,) * 5, (900, 0, 640, 0, 900, 480, 0, 0, 1))


@pytest.mark.parametrize("own", [None, OWN])
def test_a_frame_without_intrinsics_has_those_of_the_rig(own):
    rig = Rig.load(RIG)
    width, height = rig.visible_size
    frame = Frame(0, "visible", np.zeros((height, width, 3), np.uint8), "rgb8", "rgb", camera=own)
    thermal = ThermalImage(np.zeros(rig.thermal_size[::-1], np.float32), None)
    with Registrar(rig) as registrar:
        grid = registrar.align(0, frame, thermal).grid
    assert (grid.frame_id, grid.camera) == ("rgb", own or rig.visible)
    assert grid.camera is not None
