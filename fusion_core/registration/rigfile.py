"""The format of rig files, and of ROS ``camera_info`` files, as pydantic models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from fusion_core.errors import CalibrationError
from fusion_core.types import CameraModel

DistortionModel = Literal["plumb_bob", "rational_polynomial", "equidistant"]
COEFFICIENTS: Final[Mapping[str, tuple[int, ...]]] = {
    "plumb_bob": (4, 5),
    "rational_polynomial": (8,),
    "equidistant": (4,),
}
_LARGEST_NUMBER: Final = 1e12
_LARGEST_SIDE: Final = 65535
_LARGEST_BASELINE_M: Final = 5.0
_LARGEST_DEPTH_M: Final = 1e5
_LARGEST_OFFSET_MS: Final = 1e13  # as for the setting: from uptime to the time since 1970, and more
_LEAST_FOCAL_PX: Final = 10.0
_ROTATION_TOLERANCE: Final = 1e-3
_SHOWN: Final = 60  # characters of a wrong value in a message
_Schema = TypeVar("_Schema", bound=BaseModel)


def _numbers(value: object) -> tuple[float, ...]:
    """Return nested or flat numbers, or ROS's ``{rows, cols, data}``, as a flat tuple."""
    if isinstance(value, Mapping):
        unknown = set(value) - {"data", "rows", "cols", "dt"}
        if unknown or "data" not in value:
            raise ValueError(f"expected numbers or {{rows, cols, data}}, got {_shortened(value)}")
        value = value["data"]
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"expected rows of equal length, got {_shortened(value)}") from None
    if array.dtype.kind not in "iuf":
        raise ValueError(f"expected numbers, got {_shortened(value)}")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise ValueError("holds a value that is not finite; give finite numbers")
    if array.size and np.abs(array).max() > _LARGEST_NUMBER:
        raise ValueError(
            f"holds {np.abs(array).max():g} (limit {_LARGEST_NUMBER:g}); check the exponents"
        )
    return tuple(array.ravel().tolist())


def _of_shape(rows: int, columns: int) -> AfterValidator:
    """Return the check for the count of numbers in a matrix."""

    def check(value: tuple[float, ...]) -> tuple[float, ...]:
        if len(value) != rows * columns:
            raise ValueError(f"expected {rows}x{columns} numbers, got {len(value)}")
        return value

    return AfterValidator(check)


def _check_homography(value: tuple[float, ...]) -> tuple[float, ...]:
    matrix = np.array(value).reshape(3, 3)
    if abs(np.linalg.det(matrix)) < 1e-12 * max(1.0, float(np.abs(matrix).max()) ** 3):
        raise ValueError("the matrix is singular; give the 3x3 of a calibration")
    return value


def _check_transform(value: tuple[float, ...]) -> tuple[float, ...]:
    matrix = np.array(value).reshape(4, 4)
    rotation, translation = matrix[:3, :3], matrix[:3, 3]
    if not np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-9):
        raise ValueError(f"last row is {matrix[3].tolist()}, expected [0, 0, 0, 1]")
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if error > _ROTATION_TOLERANCE:
        raise ValueError(
            f"the 3x3 part is off a rotation by {error:.3g} (limit {_ROTATION_TOLERANCE:g}); "
            "give orthonormal rows with enough digits"
        )
    if np.linalg.det(rotation) < 0:
        raise ValueError(
            "the 3x3 part mirrors (determinant -1); give a rotation between right-handed frames"
        )
    baseline = float(np.linalg.norm(translation))
    if baseline > _LARGEST_BASELINE_M:
        raise ValueError(
            f"the cameras are {baseline:.3g} m apart (limit {_LARGEST_BASELINE_M:g} m); "
            "give the translation in metres"
        )
    return value


def _pair(value: object) -> object:
    """Return a list of two as a tuple, which strict validation asks for."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"expected [width, height] in pixels, got {_shortened(value)}")
    return tuple(value)


_Side = Annotated[int, Field(ge=1, le=_LARGEST_SIDE)]
_ImageSize = Annotated[tuple[_Side, _Side], BeforeValidator(_pair)]
FlatNumbers = Annotated[tuple[float, ...], BeforeValidator(_numbers)]
FlatMatrix3 = Annotated[FlatNumbers, _of_shape(3, 3)]
FlatMatrix4 = Annotated[FlatNumbers, _of_shape(4, 4)]


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CameraSchema(_StrictModel):
    """A camera in the form of a ROS ``camera_info`` file.

    Raw images need neither the camera's name nor the matrices of rectified ones.
    """

    image_width: _Side
    image_height: _Side
    distortion_model: DistortionModel
    distortion_coefficients: FlatNumbers
    camera_matrix: FlatMatrix3
    camera_name: Any = None
    rectification_matrix: Any = None
    projection_matrix: Any = None

    @model_validator(mode="after")
    def _check(self) -> CameraSchema:
        counts = COEFFICIENTS[self.distortion_model]
        if len(self.distortion_coefficients) not in counts:
            raise ValueError(
                f"distortion_coefficients: {self.distortion_model} has "
                f"{' or '.join(map(str, counts))} coefficients, got "
                f"{len(self.distortion_coefficients)}"
            )
        _check_intrinsics(
            np.array(self.camera_matrix).reshape(3, 3), (self.image_width, self.image_height)
        )
        return self

    def to_model(self) -> CameraModel:
        """Return the intrinsics."""
        return CameraModel(
            width=self.image_width,
            height=self.image_height,
            distortion_model=self.distortion_model,
            d=self.distortion_coefficients,
            k=self.camera_matrix,
        )


class _RigSchema(_StrictModel):
    """Keys that every rig file may have."""

    thermal_offset_ms: Annotated[float, Field(ge=-_LARGEST_OFFSET_MS, le=_LARGEST_OFFSET_MS)] = 0.0
    calibration: dict[str, Any] = Field(default_factory=dict)


class CameraRigSchema(_RigSchema):
    """A rig of two camera models."""

    visible: CameraSchema
    thermal: CameraSchema
    T_thermal_rgb: Annotated[FlatMatrix4, AfterValidator(_check_transform)]
    reference_depth_m: Annotated[float, Field(gt=0, le=_LARGEST_DEPTH_M)]


class HomographyRigSchema(_RigSchema):
    """A rig of one homography."""

    homography: Annotated[FlatMatrix3, AfterValidator(_check_homography)]
    visible_size: _ImageSize
    thermal_size: _ImageSize


def parse_schema(schema: type[_Schema], data: object, where: str) -> _Schema:
    """Check plain nested values.

    Args:
        schema: One of the models of this file.
        data: The values.
        where: Prefix of the keys in messages: a file or key, or empty.

    Raises:
        CalibrationError: A key is missing, unknown or wrong; one line names it.
    """
    if not isinstance(data, Mapping):
        raise CalibrationError(
            f"{where or 'rig'}: expected a mapping of keys, got {type(data).__name__}"
        )
    try:
        return schema.model_validate(dict(data))
    except ValidationError as error:
        raise CalibrationError(_message(schema, error.errors()[0], where)) from None


def camera_from_mapping(data: object, where: str) -> CameraModel:
    """Check a camera in the form of a ROS ``camera_info`` file.

    Raises:
        CalibrationError: A key is missing, unknown or wrong; the message names it.
    """
    return parse_schema(CameraSchema, data, where).to_model()


def camera_to_mapping(camera: CameraModel) -> dict[str, Any]:
    """Return the camera in the form of a ROS ``camera_info`` file."""
    return {
        "image_width": camera.width,
        "image_height": camera.height,
        "distortion_model": camera.distortion_model,
        "distortion_coefficients": {"rows": 1, "cols": len(camera.d), "data": list(camera.d)},
        "camera_matrix": {"rows": 3, "cols": 3, "data": list(camera.k)},
    }


def _check_intrinsics(matrix: NDArray[np.float64], size: tuple[int, int]) -> None:
    """Raise when ``[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]`` does not hold, e.g. when inverted."""
    if not np.allclose(matrix[[0, 1, 2, 2], [1, 0, 0, 1]], 0) or not np.isclose(matrix[2, 2], 1):
        raise ValueError(
            f"camera_matrix: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], got {matrix.tolist()}"
        )
    focal, centre = np.diag(matrix)[:2], matrix[:2, 2]
    if focal.min() < _LEAST_FOCAL_PX:
        raise ValueError(
            f"camera_matrix: focal lengths {focal.tolist()} are below {_LEAST_FOCAL_PX:g} pixels; "
            "give the matrix in pixels, not its inverse"
        )
    if (centre < -np.array(size)).any() or (centre > 2 * np.array(size)).any():
        raise ValueError(
            f"camera_matrix: principal point {centre.tolist()} lies far outside the "
            f"{size[0]}x{size[1]} image; give the matrix of this resolution"
        )


def _message(schema: type[BaseModel], error: ErrorDetails, where: str) -> str:
    """Return one line for the first error of a validation."""
    *parents, key = [str(part) for part in error["loc"]] or [""]
    place = ".".join(filter(None, (where, *parents)))
    full = ".".join(filter(None, (where, *parents, key)))
    if error["type"] == "extra_forbidden":
        known = ", ".join(_keys(schema, parents))
        return f"{place or 'rig'}: unknown key {key!r}; known keys here: {known}"
    if error["type"] == "missing":
        return f"{place or 'rig'}: key {key!r} is missing; add it"
    if error["type"] in {"model_type", "dict_type"}:
        return f"{full}: expected a mapping, got {type(error['input']).__name__}"
    if error["type"] == "literal_error":
        known = ", ".join(get_args(DistortionModel))
        return f"{full}: {_shortened(error['input'])} is not one of {known}"
    text = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":
        # A check of a whole camera names the key itself.
        return f"{full}.{text}" if isinstance(error["input"], dict) else f"{full}: {text}"
    text = text[0].lower() + text[1:]
    return f"{full}: {text}, got {_shortened(error['input'])}"


def _keys(schema: type[BaseModel], parents: list[str]) -> list[str]:
    """Return the keys of a schema, or of one that is nested in it."""
    for name in parents:
        inner = schema.model_fields[name].annotation
        assert isinstance(inner, type)
        assert issubclass(inner, BaseModel)
        schema = inner
    return list(schema.model_fields)


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
