from types import SimpleNamespace

import pytest

from fusion_core.transport.camera_info import camera_from_info, camera_info_fields
from fusion_core.types import CameraModel

K = (500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0)
D = (0.1, -0.2, 0.0, 0.001, 0.0)
# The stereo example of the message's own documentation: P of a right camera has -fx * baseline.
R = (0.999, 0.01, 0.0, -0.01, 0.999, 0.0, 0.0, 0.0, 1.0)
P = (480.0, 0.0, 310.0, -48.0, 0.0, 480.0, 235.0, 0.0, 0.0, 0.0, 1.0, 0.0)
IDENTITY = [1.0, 0, 0, 0, 1, 0, 0, 0, 1]


def message(**changed):
    fields = {"width": 640, "height": 480, "distortion_model": "plumb_bob", "d": D, "k": K}
    return SimpleNamespace(**{**fields, "r": R, "p": P, **changed})


def test_convention_a_camera_alone_has_no_rectification_and_projects_with_k():
    """As `sensor_msgs/CameraInfo` documents R and P of a monocular camera."""
    fields = camera_info_fields(CameraModel(640, 480, "plumb_bob", D, K))
    assert fields["r"] == IDENTITY
    assert fields["p"] == [500.0, 0, 320, 0, 0, 510, 240, 0, 0, 0, 1, 0]
    assert (fields["k"], fields["d"]) == (list(K), list(D))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"r": (0.0,) * 9, "p": (0.0,) * 12},
        {"r": tuple(IDENTITY)},
        {"d": ()},
    ],
)
def test_what_was_read_is_written_again(changed):
    camera = camera_from_info(message(**changed))
    assert camera_from_info(SimpleNamespace(**camera_info_fields(camera))) == camera
    assert (camera.width, camera.height) == (640, 480)
    assert (camera.k, camera.d) == (K, changed.get("d", D))


def test_rectification_and_projection_are_kept():
    fields = camera_info_fields(camera_from_info(message()))
    assert (fields["r"], fields["p"]) == (list(R), list(P))


def test_ros_1_names_its_matrices_in_upper_case():
    fields = vars(message())
    upper = {name.upper() if name in "dkrp" else name: value for name, value in fields.items()}
    assert camera_from_info(SimpleNamespace(**upper)) == camera_from_info(message())


def test_no_focal_length_means_not_calibrated():
    assert camera_from_info(message(k=(0.0,) * 9)) is None
