"""The plain values of a rig file: checked reading and writing of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import CalibrationError
from fusion_core.types import CameraModel

COEFFICIENTS: Final[Mapping[str, tuple[int, ...]]] = {
    "plumb_bob": (4, 5),
    "rational_polynomial": (8,),
    "equidistant": (4,),
}
_CAMERA_KEYS: Final = (
    "image_width",
    "image_height",
    "distortion_model",
    "distortion_coefficients",
    "camera_matrix",
)
# A ROS camera_info file carries these too; raw images need none of them.
_CAMERA_EXTRA: Final = ("camera_name", "rectification_matrix", "projection_matrix")


def check_keys(
    data: Mapping[str, Any], required: Sequence[str], optional: Sequence[str], where: str
) -> None:
    """Raise ``CalibrationError`` for the first unknown or missing key."""
    for key in data:
        if key not in required and key not in optional:
            known = ", ".join((*required, *optional))
            raise CalibrationError(f"{where}: unknown key {key!r}; known keys here: {known}")
    for key in required:
        if key not in data:
            raise CalibrationError(f"{where}: key {key!r} is missing")


def read_matrix(value: object, shape: tuple[int, ...], key: str) -> NDArray[np.float64]:
    """Return nested or flat numbers, or ROS's ``{rows, cols, data}``, in the given shape.

    Raises:
        CalibrationError: Another count of numbers, or a value that is no finite number.
    """
    if isinstance(value, Mapping):
        check_keys(value, ("data",), ("rows", "cols", "dt"), key)
        value = value["data"]
    try:
        matrix = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise CalibrationError(f"{key}: expected numbers, got {value!r}") from None
    if matrix.size != int(np.prod(shape)):
        raise CalibrationError(
            f"{key}: expected {'x'.join(map(str, shape))} numbers, got {matrix.size}"
        )
    if not np.isfinite(matrix).all():
        raise CalibrationError(f"{key}: holds a value that is not finite")
    return matrix.reshape(shape)


def read_positive(data: Mapping[str, Any], key: str) -> float:
    """Return a number above zero, or raise ``CalibrationError``."""
    value = data[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < np.inf:
        raise CalibrationError(f"{key}: expected a number above 0, got {value!r}")
    return float(value)


def read_size(data: Mapping[str, Any], key: str) -> tuple[int, int]:
    """Return ``(width, height)`` in pixels, or raise ``CalibrationError``."""
    value = data[key]
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(map(_is_pixels, value)):
        raise CalibrationError(f"{key}: expected [width, height] in pixels, got {value!r}")
    return value[0], value[1]


def camera_from_mapping(data: object, where: str) -> CameraModel:
    """Check a camera in the form of a ROS ``camera_info`` file.

    Raises:
        CalibrationError: A key is missing, unknown or wrong; the message names it.
    """
    if not isinstance(data, Mapping):
        raise CalibrationError(f"{where}: expected a mapping, got {type(data).__name__}")
    check_keys(data, _CAMERA_KEYS, _CAMERA_EXTRA, where)
    for key in ("image_width", "image_height"):
        if not _is_pixels(data[key]):
            raise CalibrationError(f"{where}.{key}: expected pixels above 0, got {data[key]!r}")
    model = data["distortion_model"]
    if model not in COEFFICIENTS:
        known = ", ".join(COEFFICIENTS)
        raise CalibrationError(f"{where}.distortion_model: {model!r} is not one of {known}")
    matrix = read_matrix(data["camera_matrix"], (3, 3), f"{where}.camera_matrix")
    _check_intrinsics(matrix, (data["image_width"], data["image_height"]), where)
    return CameraModel(
        width=data["image_width"],
        height=data["image_height"],
        distortion_model=model,
        d=_read_distortion(data["distortion_coefficients"], model, where),
        k=tuple(matrix.ravel().tolist()),
    )


def camera_to_mapping(camera: CameraModel) -> dict[str, Any]:
    """Return the camera in the form of a ROS ``camera_info`` file."""
    return {
        "image_width": camera.width,
        "image_height": camera.height,
        "distortion_model": camera.distortion_model,
        "distortion_coefficients": {"rows": 1, "cols": len(camera.d), "data": list(camera.d)},
        "camera_matrix": {"rows": 3, "cols": 3, "data": list(camera.k)},
    }


def _is_pixels(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _read_distortion(value: object, model: str, where: str) -> tuple[float, ...]:
    """Return as many coefficients as the distortion model has."""
    key = f"{where}.distortion_coefficients"
    data = value.get("data") if isinstance(value, Mapping) else value
    count = len(data) if isinstance(data, list | tuple) else 0
    if count not in COEFFICIENTS[model]:
        expected = " or ".join(map(str, COEFFICIENTS[model]))
        raise CalibrationError(f"{key}: {model} has {expected} coefficients, got {count}")
    return tuple(read_matrix(value, (count,), key).tolist())


def _check_intrinsics(matrix: NDArray[np.float64], size: tuple[int, int], where: str) -> None:
    """Raise when ``[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]`` does not hold, e.g. when inverted."""
    key = f"{where}.camera_matrix"
    if not np.allclose(matrix[[0, 1, 2, 2], [1, 0, 0, 1]], 0) or not np.isclose(matrix[2, 2], 1):
        raise CalibrationError(f"{key}: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]]")
    focal, centre = np.diag(matrix)[:2], matrix[:2, 2]
    if focal.min() < 10:
        raise CalibrationError(
            f"{key}: focal lengths {focal.tolist()} are below 10 pixels; "
            "give the matrix in pixels, not its inverse"
        )
    if (centre < -np.array(size)).any() or (centre > 2 * np.array(size)).any():
        raise CalibrationError(
            f"{key}: principal point {centre.tolist()} lies far outside "
            f"the {size[0]}x{size[1]} image"
        )
