"""Transforms between frames: directions and numbers are those of ROS (REP 103), by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from fusion_core.errors import CalibrationError
from fusion_core.transport.transforms import TransformTree

# From a body's axes (x forward, y left, z up) to a camera's (z forward, x right, y down).
OPTICAL = (-0.5, 0.5, -0.5, 0.5)
NONE = (0.0, 0.0, 0.0, 1.0)


def message(*entries):
    """Return a TFMessage of parents, children, translations and quaternions (x, y, z, w)."""
    stamped = [
        SimpleNamespace(
            header=SimpleNamespace(frame_id=parent),
            child_frame_id=child,
            transform=SimpleNamespace(
                translation=SimpleNamespace(**dict(zip("xyz", place, strict=True))),
                rotation=SimpleNamespace(**dict(zip("xyzw", turn, strict=True))),
            ),
        )
        for parent, child, place, turn in entries
    ]
    return SimpleNamespace(transforms=stamped)


def tree(*entries):
    made = TransformTree()
    made.add_message(message(*entries))
    return made


HEAD = [
    ("base", "head", (0.2, 0.0, 1.0), NONE),
    ("head", "rgb", (0.0, 0.0, 0.0), OPTICAL),
    ("head", "lwir_mount", (0.0, -0.045, 0.0), NONE),  # to the right
    ("lwir_mount", "lwir", (0.0, 0.0, 0.0), OPTICAL),
]


def test_convention_a_point_of_the_source_is_given_in_the_target():
    found = tree(*HEAD).between("rgb", "lwir")
    # 2 m before the colour camera is 45 mm to the left of what is before the thermal one.
    np.testing.assert_allclose(found @ (0, 0, 2, 1), (-0.045, 0, 2, 1), atol=1e-12)
    np.testing.assert_allclose(tree(*HEAD).between("lwir", "rgb") @ found, np.eye(4), atol=1e-12)


def test_convention_the_transform_is_the_pose_of_the_child_in_its_parent():
    found = tree(*HEAD).between("rgb", "base")
    # 3 m ahead, 1 m to the right and half a metre down, from a camera 1 m above the base.
    np.testing.assert_allclose(found @ (1, 0.5, 3, 1), (3.2, -1, 0.5, 1), atol=1e-12)


@pytest.mark.parametrize("frames", [("/rgb", "lwir"), ("rgb", "/lwir")])
def test_slashes_of_ros_1_do_not_matter(frames):
    assert tree(*HEAD).between(*frames)[0, 3] == pytest.approx(-0.045)


def test_quaternions_are_normalised_and_what_is_no_pose_is_passed_over():
    made = tree(
        ("a", "b", (1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 2.0)),
        ("a", "c", (1.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
        ("a", "d", (float("nan"), 0.0, 0.0), NONE),
    )
    np.testing.assert_allclose(made.between("b", "a") @ (5, 6, 7, 1), (6, 6, 7, 1))
    for frame in ("c", "d"):
        with pytest.raises(CalibrationError, match="no transform"):
            made.between(frame, "a")


def test_the_newest_transform_counts():
    made = tree(("a", "b", (1.0, 0.0, 0.0), NONE))
    version = made.version
    made.add_message(message(("a", "b", (2.0, 0.0, 0.0), NONE)))
    assert made.between("b", "a")[0, 3] == 2
    assert made.version > version


def test_frames_that_are_not_connected_are_named_with_those_that_are_there():
    with pytest.raises(CalibrationError) as caught:
        tree(*HEAD).between("rgb", "boson")
    text = str(caught.value)
    assert "no transform between 'rgb' and 'boson' on /tf_static" in text
    assert "lwir_mount" in text
    assert "\n" not in text
    with pytest.raises(CalibrationError, match="frames there: none"):
        TransformTree().between("a", "b")


def test_a_circle_of_frames_ends():
    made = tree(("a", "b", (1.0, 0.0, 0.0), NONE), ("b", "a", (1.0, 0.0, 0.0), NONE))
    with pytest.raises(CalibrationError, match="no transform"):
        made.between("a", "c")
