"""Motion of the cameras against each other, where thermal and visible have nothing in common."""

import cv2
import numpy as np
import pytest
from pictures import H, W, scene_pair, thermal_through

from fusion_core.registration import Registrar, RegistrationConfig
from fusion_core.types import Frame, ThermalImage

STEP_NS = 100_000_000
BEFORE, AFTER = 6, 24


def visible_moved(visible, shift):
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], np.float64)
    return cv2.warpAffine(visible, matrix, (W, H), borderMode=cv2.BORDER_REPLICATE)


def thermal_moved(thermal, shift):
    field = np.broadcast_to(-np.asarray(shift, float), (H, W, 2))
    return ThermalImage(thermal_through(thermal, field).astype(np.float32) / 255, None)


def correction_after(visible, thermal, visible_shift, thermal_shift):
    """Return where the centre belongs, and the confidence, after both pictures have jumped."""
    registrar = Registrar(None, RegistrationConfig(refine="on"))
    for number in range(BEFORE + AFTER):
        jumped = number >= BEFORE
        frame = visible_moved(visible, visible_shift) if jumped else visible
        image = thermal_moved(thermal, thermal_shift if jumped else (0, 0))
        stamp = number * STEP_NS
        pair = registrar.align(stamp, Frame(stamp, "visible", frame, "rgb8"), image)
    point = registrar.correction @ (W / 2, H / 2, 1)
    return point[:2] / point[2] - (W / 2, H / 2), pair.confidence


@pytest.mark.parametrize(
    ("visible_shift", "thermal_shift", "expected"),
    [
        ((0, 0), (4, 3), (4, 3)),  # the thermal camera is knocked
        ((5, -4), (0, 0), (-5, 4)),  # the visible one
        ((5, 4), (5, 4), (0, 0)),  # the robot turns
    ],
)
def test_a_camera_that_moves_alone_is_followed(visible_shift, thermal_shift, expected):
    visible, _ = scene_pair(20)
    _, other = scene_pair(21)
    found, confidence = correction_after(visible, other, visible_shift, thermal_shift)
    assert np.linalg.norm(found - expected) < 0.6
    assert confidence < 0.5


def test_nothing_is_followed_while_the_visible_camera_sees_nothing():
    _, thermal = scene_pair(22)
    gray = np.full((H, W, 3), 140, np.uint8)
    found, confidence = correction_after(gray, thermal, (0, 0), (4, 3))
    np.testing.assert_allclose(found, 0, atol=1e-6)
    assert confidence < 0.1


def test_faint_traces_in_smoke_tell_that_the_visible_camera_stands_still():
    visible, _ = scene_pair(23)
    _, other = scene_pair(24)
    rng = np.random.default_rng(0)
    registrar = Registrar(None, RegistrationConfig(refine="on"))
    for number in range(BEFORE + AFTER):
        smoke = cv2.GaussianBlur(rng.normal(0, 1, (H, W)), (0, 0), 12)
        smoke = 150 + 25 * smoke / smoke.std() + 0.15 * (visible.mean(axis=2) - 120)
        frame = np.repeat(np.clip(smoke, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
        image = thermal_moved(other, (4, 3) if number >= BEFORE else (0, 0))
        stamp = number * STEP_NS
        registrar.align(stamp, Frame(stamp, "visible", frame, "rgb8"), image)
    point = registrar.correction @ (W / 2, H / 2, 1)
    assert np.linalg.norm(point[:2] / point[2] - (W / 2, H / 2) - (4, 3)) < 1
