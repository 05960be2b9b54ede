"""The camera's motion on pictures whose motion is known."""

import cv2
import numpy as np
import pytest

from fusion_core.detection.camera_motion import CameraMotion, moved_box
from fusion_core.types import AlignedPair

SIZE = (640, 480)


@pytest.fixture(scope="module")
def scene():
    """A textured picture, larger than the camera's."""
    noise = np.random.default_rng(3).uniform(0, 255, (150, 200)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.5)
    return cv2.resize(cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX), (1000, 750))


def view(scene, matrix=None):
    """The camera's picture: the scene moved by a ``2x3`` matrix."""
    matrix = np.eye(2, 3) if matrix is None else matrix
    picture = cv2.warpAffine(scene, matrix - [[0, 0, 150], [0, 0, 130]], SIZE)
    return cv2.cvtColor(picture.astype(np.uint8), cv2.COLOR_GRAY2RGB)


def pair(visible, thermal=None):
    """Both images of a pair; thermal as gray levels."""
    luminance = None if thermal is None else thermal[..., 0].astype(np.float32) / 255
    return AlignedPair(0, visible, luminance, np.ones(visible.shape[:2], bool))


@pytest.mark.parametrize(
    "matrix",
    [
        [[1, 0, 23.0], [0, 1, -9.0]],
        [[1.03, 0, -12.0], [0, 1.03, -8.0]],
        [[0.9994, -0.0349, 20.0], [0.0349, 0.9994, -22.0]],
    ],
    ids=["pan", "zoom", "roll"],
)
def test_motion_is_found_to_a_pixel(scene, matrix):
    camera, matrix = CameraMotion(), np.array(matrix, np.float64)
    assert camera.step(pair(view(scene))) is None
    # In the picture's own pixels: out of it by the window's offset, moved, and back.
    offset = np.array([150.0, 130.0])
    expected = np.column_stack([matrix[:, :2], matrix[:, 2] + matrix[:, :2] @ offset - offset])
    motion = camera.step(pair(view(scene, matrix)))
    corners = np.array([[0, 0], [640, 0], [0, 480], [640, 480.0]])
    moved, right = (corners @ m[:, :2].T + m[:, 2] for m in (motion, expected))
    assert np.abs(moved - right).max() < 1.5


def test_a_large_object_that_moves_is_not_the_camera(scene):
    """It fills half of the picture, and most of the texture is its own."""

    def shown(x):
        picture = view(scene)
        picture[100:400, x : x + 330] = view(scene)[::-1][100:400, 150:480]
        return pair(picture)

    camera = CameraMotion()
    camera.step(shown(100))
    motion = camera.step(shown(140), [(100.0, 100.0, 330.0, 300.0)])
    assert np.abs(motion - np.eye(2, 3)).max() < 0.3


@pytest.mark.parametrize("what", ["flat", "another scene", "another size"])
def test_unknown_without_agreement(scene, what):
    camera = CameraMotion()
    camera.step(pair(view(scene)))
    other = {
        "flat": np.full((480, 640, 3), 90, np.uint8),
        "another scene": view(scene)[::-1, ::-1].copy(),
        "another size": view(scene)[::2, ::2].copy(),
    }[what]
    assert camera.step(pair(other)) is None


PAN = np.array([[1, 0, 24.0], [0, 1, 0]])
DRIFT = np.array([[1, 0, -32.0], [0, 1, 12.0]])


def test_drifting_smoke_is_not_the_camera(scene):
    """The visible image is all smoke, which drifts; thermal shows the pan."""
    camera, smoke = CameraMotion(), scene[::-1, ::-1]
    camera.step(pair(view(smoke), view(scene)))
    motion = camera.step(pair(view(smoke, DRIFT), view(scene, PAN)))
    assert np.abs(motion - PAN).max() < 0.5


@pytest.mark.parametrize("thermal", ["repeated", "flat", "missing"])
def test_the_visible_image_answers_where_thermal_does_not(scene, thermal):
    """A slower thermal camera repeats its picture; it says nothing of the motion meanwhile."""
    flat = np.full((480, 640, 3), 90, np.uint8)
    shown = {"repeated": view(scene), "flat": flat, "missing": None}[thermal]
    camera = CameraMotion()
    camera.step(pair(view(scene), shown))
    motion = camera.step(pair(view(scene, PAN), shown))
    assert np.abs(motion - PAN).max() < 0.5


def test_a_box_stays_upright():
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
    assert moved_box((10.0, 20.0, 4.0, 2.0), quarter) == pytest.approx((-23.0, 11.0, 4.0, 2.0))


def test_a_camera_stands_though_most_of_what_it_sees_moves(scene):
    """The left third goes left and the right third right, as if the camera came nearer."""
    camera, background = CameraMotion(), view(scene)
    camera.step(pair(background))
    for step in (1, 2, 3):
        picture = background.copy()
        picture[:, : 210 - 6 * step] = background[:, 6 * step : 210]
        picture[:, 430 + 6 * step :] = background[:, 430 : 640 - 6 * step]
        assert np.array_equal(camera.step(pair(picture)), np.eye(2, 3))


@pytest.mark.parametrize(("brighter", "expected"), [(1.0, 8.0), (1.3, 0.0)])
def test_the_visible_picture_is_asked_first_where_the_gain_of_thermal_jumps(
    scene, brighter, expected
):
    """A camera that calibrates itself seems to move; by itself thermal is believed."""
    camera, aside = CameraMotion(), np.array([[1, 0, 8.0], [0, 1, 0]])
    thermal, moved = (view(scene, matrix) * 0.6 for matrix in (None, aside))
    camera.step(pair(view(scene), thermal))
    motion = camera.step(pair(view(scene) // 2 * 2, brighter * moved))
    assert motion[:, 2] == pytest.approx([expected, 0], abs=0.7)
