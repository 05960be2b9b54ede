"""Rigs from the files of other calibration tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from fusion_core.calibration.targets import Points
from fusion_core.errors import CalibrationError, UsageError
from fusion_core.registration import Rig
from fusion_core.registration.rigfile import camera_from_mapping, read_matrix
from fusion_core.runtime.yaml_file import read_mapping
from fusion_core.types import CameraModel, Modality

_KALIBR_MODELS: Final = {
    "radtan": "plumb_bob",
    "equidistant": "equidistant",
    "none": "plumb_bob",
}
_THERMAL_NAMES: Final = ("thermal", "infra", "lwir", "/ir")


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
        UsageError: The quaternion is none.
    """
    quaternion = np.array(pose[3:7], dtype=np.float64)
    norm = float(np.linalg.norm(quaternion))
    if abs(norm - 1) > 1e-2:
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
        UsageError: It cannot be told which camera is which.
    """
    chain = read_mapping(path, CalibrationError)
    names = sorted((name for name in chain if str(name).startswith("cam")), key=_number)
    if len(names) < 2 or not all(isinstance(chain[name], Mapping) for name in names):
        raise CalibrationError(f"{path}: not a camchain of two cameras (keys cam0, cam1, ...)")
    first, second = _which(path, chain, names, visible_topic, thermal_topic)
    poses = _poses(path, chain, names)
    shifts = [float(chain[name].get("timeshift_cam_imu", 0.0)) for name in (first, second)]
    return _rig(
        _kalibr_camera(chain[first], f"{path}: {first}"),
        _kalibr_camera(chain[second], f"{path}: {second}"),
        poses[second] @ np.linalg.inv(poses[first]),
        reference_depth_m,
        (shifts[1] - shifts[0]) * 1e3,
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


def _which(
    path: Path,
    chain: Mapping[str, Any],
    names: Sequence[str],
    visible_topic: str | None,
    thermal_topic: str | None,
) -> tuple[str, str]:
    """Return the names of the visible and the thermal camera."""
    topics = {name: str(chain[name].get("rostopic", "")) for name in names}
    given = {
        side: [name for name, topic in topics.items() if topic.strip("/") == wanted.strip("/")]
        for side, wanted in (("visible", visible_topic), ("thermal", thermal_topic))
        if wanted
    }
    thermal = given.get("thermal", [n for n in names if _sounds_thermal(topics[n])])
    visible = given.get("visible", [n for n in names if n not in thermal])
    if len(thermal) != 1 or len(visible) != 1 or thermal == visible:
        listed = ", ".join(f"{name} {topic or 'without a topic'}" for name, topic in topics.items())
        raise UsageError(
            f"{path}: cannot tell which camera is visible and which thermal ({listed}); give "
            "--visible-topic and --thermal-topic"
        )
    return visible[0], thermal[0]


def _sounds_thermal(topic: str) -> bool:
    return any(word in topic.lower() for word in _THERMAL_NAMES)


def _poses(path: Path, chain: Mapping[str, Any], names: Sequence[str]) -> dict[str, Points]:
    """Return for every camera the 4x4 that maps points of the first camera into its frame."""
    poses = {names[0]: np.eye(4)}
    for before, name in pairwise(names):
        if "T_cn_cnm1" not in chain[name]:
            raise CalibrationError(f"{path}: {name}: key 'T_cn_cnm1' is missing")
        step = read_matrix(chain[name]["T_cn_cnm1"], (4, 4), f"{path}: {name}.T_cn_cnm1")
        poses[name] = step @ poses[before]
    return poses


def _kalibr_camera(data: Mapping[str, Any], where: str) -> CameraModel:
    """Return a pinhole camera of a camchain."""
    model = data.get("camera_model", "pinhole")
    lens = data.get("distortion_model", "none")
    if model != "pinhole" or lens not in _KALIBR_MODELS:
        raise CalibrationError(
            f"{where}: {model}-{lens} cannot be used; calibrate with pinhole-radtan or pinhole-equi"
        )
    for key in ("intrinsics", "resolution"):
        if key not in data:
            raise CalibrationError(f"{where}: key {key!r} is missing")
    fx, fy, cx, cy = read_matrix(data["intrinsics"], (4,), f"{where}.intrinsics").tolist()
    coefficients = [0.0] * 4 if lens == "none" else data.get("distortion_coeffs")
    width, height = read_matrix(data["resolution"], (2,), f"{where}.resolution").tolist()
    return camera_from_mapping(
        {
            "image_width": int(width),
            "image_height": int(height),
            "distortion_model": _KALIBR_MODELS[lens],
            "distortion_coefficients": coefficients,
            "camera_matrix": [fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0],
        },
        where,
    )
