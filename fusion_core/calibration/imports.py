"""Rigs from the files of other calibration tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from fusion_core.calibration.targets import Points
from fusion_core.errors import CalibrationError, UsageError
from fusion_core.registration import Rig
from fusion_core.registration.rigfile import (
    FlatMatrix4,
    FlatNumbers,
    camera_from_mapping,
    parse_schema,
)
from fusion_core.runtime.yaml_file import read_mapping
from fusion_core.types import CameraModel, Modality

_KALIBR_MODELS: Final = {
    "radtan": "plumb_bob",
    "equidistant": "equidistant",
    "none": "plumb_bob",
}
_THERMAL_NAMES: Final = ("thermal", "infra", "lwir", "/ir")


class KalibrCameraSchema(BaseModel):
    """One camera of a camchain; Kalibr writes more keys than are needed here."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    camera_model: str = "pinhole"
    distortion_model: str = "none"
    distortion_coeffs: FlatNumbers = ()
    intrinsics: Annotated[FlatNumbers, Field(min_length=4, max_length=4)]
    resolution: Annotated[FlatNumbers, Field(min_length=2, max_length=2)]
    rostopic: str = ""
    timeshift_cam_imu: Annotated[float, Field(ge=-10, le=10)] = 0.0
    T_cn_cnm1: FlatMatrix4 | None = None


def read_camera_info(path: Path) -> CameraModel:
    """Read the YAML file that ROS's ``camera_calibration`` writes.

    Raises:
        CalibrationError: The file cannot be read, or is no such file.
    """
    return camera_from_mapping(read_mapping(path, CalibrationError), str(path))


def read_camera_infos(paths: tuple[Path, Path] | None) -> dict[Modality, CameraModel]:
    """Read the visible and the thermal camera's file; nothing when none are given."""
    if paths is None:
        return {}
    return {"visible": read_camera_info(paths[0]), "thermal": read_camera_info(paths[1])}


def rig_from_pose(
    cameras: Mapping[Modality, CameraModel], pose: Sequence[float], reference_depth_m: float
) -> Rig:
    """Return the rig of two known cameras.

    Args:
        cameras: Intrinsics of both.
        pose: ``x y z qx qy qz qw``: the visible camera's frame in that of the thermal camera, as
            ``tf2_echo THERMAL_OPTICAL_FRAME RGB_OPTICAL_FRAME`` prints it; it maps points of the
            visible frame into the thermal one.
        reference_depth_m: Distance at which the images shall agree.

    Raises:
        UsageError: The quaternion does not have unit length.
    """
    quaternion = np.array(pose[3:7], dtype=np.float64)
    norm = float(np.linalg.norm(quaternion))
    if not abs(norm - 1) <= 1e-2:
        raise UsageError(
            f"--pose: the quaternion {' '.join(map(str, pose[3:7]))} has length {norm:.3g}, not 1; "
            "give X Y Z QX QY QZ QW"
        )
    x, y, z, w = quaternion / norm
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = pose[:3]
    return _rig(cameras["visible"], cameras["thermal"], matrix, reference_depth_m, 0.0)


def rig_from_kalibr(
    path: Path, visible_topic: str | None, thermal_topic: str | None, reference_depth_m: float
) -> Rig:
    """Read a camchain of Kalibr that holds both cameras.

    ``T_cn_cnm1`` maps points of the camera before into camera n's frame. ``timeshift_cam_imu`` is
    added to a camera's stamps to give the IMU's clock; the difference of both cameras' shifts is
    what is added to thermal stamps.

    Args:
        path: ``camchain.yaml`` or ``camchain-imucam.yaml``.
        visible_topic: ``rostopic`` of the visible camera; by name when None.
        thermal_topic: ``rostopic`` of the thermal camera; by name when None.
        reference_depth_m: Distance at which the images shall agree.

    Raises:
        CalibrationError: The file cannot be read, is no camchain, or uses another lens model.
        UsageError: It cannot be decided which camera is which.
    """
    data = read_mapping(path, CalibrationError)
    names = sorted((name for name in data if str(name).startswith("cam")), key=_number)
    if len(names) < 2:
        raise CalibrationError(f"{path}: not a camchain of two cameras (keys cam0, cam1, ...)")
    chain = {
        name: parse_schema(KalibrCameraSchema, data[name], f"{path}: {name}") for name in names
    }
    first, second = _visible_and_thermal(path, chain, visible_topic, thermal_topic)
    poses = _poses(path, chain)
    shift_s = chain[second].timeshift_cam_imu - chain[first].timeshift_cam_imu
    return _rig(
        _kalibr_camera(chain[first], f"{path}: {first}"),
        _kalibr_camera(chain[second], f"{path}: {second}"),
        poses[second] @ np.linalg.inv(poses[first]),
        reference_depth_m,
        shift_s * 1e3,
    )


def _rig(
    visible: CameraModel, thermal: CameraModel, matrix: Points, depth_m: float, offset_ms: float
) -> Rig:
    """Return a rig, its pose made exactly rigid: files carry few digits."""
    u, _, vt = np.linalg.svd(matrix[:3, :3])
    exact = matrix.copy()
    exact[:3, :3] = u @ vt
    return Rig(
        visible_size=(visible.width, visible.height),
        thermal_size=(thermal.width, thermal.height),
        visible=visible,
        thermal=thermal,
        t_thermal_rgb=exact,
        reference_depth_m=depth_m,
        thermal_offset_ms=offset_ms,
    )


def _number(name: str) -> int:
    digits = str(name).removeprefix("cam")
    return int(digits) if digits.isdigit() else 0


def _visible_and_thermal(
    path: Path,
    chain: Mapping[str, KalibrCameraSchema],
    visible_topic: str | None,
    thermal_topic: str | None,
) -> tuple[str, str]:
    """Return the names of the visible and the thermal camera."""
    topics = {name: camera.rostopic for name, camera in chain.items()}
    given = {
        side: [name for name, topic in topics.items() if topic.strip("/") == wanted.strip("/")]
        for side, wanted in (("visible", visible_topic), ("thermal", thermal_topic))
        if wanted
    }
    thermal = given.get("thermal", [n for n in chain if _is_thermal_name(topics[n])])
    visible = given.get("visible", [n for n in chain if n not in thermal])
    if len(thermal) != 1 or len(visible) != 1 or thermal == visible:
        listed = ", ".join(f"{name} {topic or 'without a topic'}" for name, topic in topics.items())
        raise UsageError(
            f"{path}: cannot decide which camera is visible and which thermal ({listed}); give "
            "--visible-topic and --thermal-topic"
        )
    return visible[0], thermal[0]


def _is_thermal_name(topic: str) -> bool:
    return any(word in topic.lower() for word in _THERMAL_NAMES)


def _poses(path: Path, chain: Mapping[str, KalibrCameraSchema]) -> dict[str, Points]:
    """Return for every camera the 4x4 that maps points of the first camera into its frame."""
    names = list(chain)
    poses = {names[0]: np.eye(4)}
    for before, name in pairwise(names):
        step = chain[name].T_cn_cnm1
        if step is None:
            raise CalibrationError(f"{path}: {name}: key 'T_cn_cnm1' is missing; add it")
        poses[name] = np.array(step).reshape(4, 4) @ poses[before]
    return poses


def _kalibr_camera(camera: KalibrCameraSchema, where: str) -> CameraModel:
    """Return a pinhole camera of a camchain."""
    lens = camera.distortion_model
    if camera.camera_model != "pinhole" or lens not in _KALIBR_MODELS:
        raise CalibrationError(
            f"{where}: {camera.camera_model}-{lens} cannot be used; calibrate with pinhole-radtan "
            "or pinhole-equi"
        )
    fx, fy, cx, cy = camera.intrinsics
    data: dict[str, Any] = {
        "image_width": int(camera.resolution[0]),
        "image_height": int(camera.resolution[1]),
        "distortion_model": _KALIBR_MODELS[lens],
        "distortion_coefficients": [0.0] * 4 if lens == "none" else camera.distortion_coeffs,
        "camera_matrix": [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
    }
    return camera_from_mapping(data, where)
