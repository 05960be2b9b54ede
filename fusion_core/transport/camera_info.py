"""Intrinsics as ``sensor_msgs/CameraInfo`` states them, for every writer and reader of it."""

from __future__ import annotations

from typing import Any, TypedDict

from fusion_core.types import CameraModel

_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


class CameraInfoFields(TypedDict):
    """The fields of the message that describe a camera, by their names in ROS 2."""

    width: int
    height: int
    distortion_model: str
    d: list[float]
    k: list[float]
    r: list[float]
    p: list[float]


def camera_info_fields(camera: CameraModel) -> CameraInfoFields:
    """Return what the message says of a camera.

    Without a rectification R is the identity and P is K with a zero column, as in a camera that
    stands alone.
    """
    return {
        "width": camera.width,
        "height": camera.height,
        "distortion_model": camera.distortion_model,
        "d": _floats(camera.d),
        "k": _floats(camera.k),
        "r": _floats(camera.r or _IDENTITY),
        "p": _floats(camera.p or _projection(camera.k)),
    }


def camera_from_info(info: Any) -> CameraModel | None:  # noqa: ANN401 - of rclpy or of rosbags
    """Return the camera that a message describes, None when it says that it is not calibrated.

    Args:
        info: ``CameraInfo`` of ROS 2, or of ROS 1 with its upper-case names.
    """
    k = _field(info, "k")
    # By the message's definition a focal length of zero marks an uncalibrated camera.
    if not k[0]:
        return None
    r, p = _field(info, "r"), _field(info, "p")
    return CameraModel(
        width=int(info.width),
        height=int(info.height),
        distortion_model=str(info.distortion_model),
        d=_field(info, "d"),
        k=k,
        r=r if any(r) and r != _IDENTITY else (),
        p=p if any(p) and p != _projection(k) else (),
    )


def _projection(k: tuple[float, ...]) -> tuple[float, ...]:
    return (*k[0:3], 0.0, *k[3:6], 0.0, *k[6:9], 0.0)


def _field(info: Any, name: str) -> tuple[float, ...]:  # noqa: ANN401 - as above
    values = getattr(info, name) if hasattr(info, name) else getattr(info, name.upper())
    return tuple(float(value) for value in values)


def _floats(values: tuple[float, ...]) -> list[float]:
    return [float(value) for value in values]
