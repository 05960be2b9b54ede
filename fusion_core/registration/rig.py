"""Rig files: where the two cameras look, and how their pixels correspond."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from fusion_core.errors import CalibrationError
from fusion_core.registration.rigfile import (
    camera_from_mapping,
    camera_to_mapping,
    check_keys,
    read_matrix,
    read_positive,
    read_size,
)
from fusion_core.runtime.files import atomic_path
from fusion_core.runtime.yaml_file import read_mapping
from fusion_core.types import CameraModel

Matrix = NDArray[np.float64]
Size = tuple[int, int]

_CAMERA_KEYS = ("visible", "thermal", "T_thermal_rgb", "reference_depth_m")
_HOMOGRAPHY_KEYS = ("homography", "visible_size", "thermal_size")
_OPTIONAL_KEYS = ("thermal_offset_ms", "calibration")
_LARGEST_BASELINE_M = 5.0
_LARGEST_OFFSET_MS = 5000.0


@dataclass(frozen=True, eq=False)
class Rig:
    """Calibration of a visible and a thermal camera that are fixed to each other.

    Either two camera models with the pose between them and the depth at which the images shall
    agree, or one homography. Pixel ``(0, 0)`` is the centre of the top-left pixel.

    Attributes:
        visible_size: Width and height in pixels that the visible calibration belongs to.
        thermal_size: The same for the thermal camera.
        homography: 3x3, ``thermal_pixel ~ homography @ visible_pixel``; None with camera models.
        visible: Intrinsics of the visible camera, None with a homography.
        thermal: Intrinsics of the thermal camera, None with a homography.
        t_thermal_rgb: 4x4 rigid transform that maps a point in the visible camera's optical frame
            into the thermal camera's optical frame, in metres; None with a homography.
        reference_depth_m: Distance along the visible camera's axis at which both images agree.
        thermal_offset_ms: Added to thermal stamps in milliseconds, it brings them to the visible
            camera's clock; on top of ``sync.thermal_offset_ms``.
        calibration: How the values came about: plain nested values for readers of the file.
    """

    visible_size: Size
    thermal_size: Size
    homography: Matrix | None = None
    visible: CameraModel | None = None
    thermal: CameraModel | None = None
    t_thermal_rgb: Matrix | None = None
    reference_depth_m: float | None = None
    thermal_offset_ms: float = 0.0
    calibration: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path) -> Rig:
        """Read a rig file (YAML).

        Raises:
            CalibrationError: The file cannot be read, or a key is missing, unknown or wrong.
        """
        data = read_mapping(Path(path), CalibrationError)
        try:
            return cls.from_mapping(data)
        except CalibrationError as error:
            raise CalibrationError(f"{path}: {error}") from None

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Rig:
        """Check plain nested values in the form of a rig file.

        Raises:
            CalibrationError: A key is missing, unknown or wrong; the message names it.
        """
        if not isinstance(data, Mapping):
            raise CalibrationError(f"rig: expected a mapping of keys, got {type(data).__name__}")
        if "homography" in data:
            check_keys(data, _HOMOGRAPHY_KEYS, _OPTIONAL_KEYS, "rig with a homography")
            return cls(
                visible_size=read_size(data, "visible_size"),
                thermal_size=read_size(data, "thermal_size"),
                homography=_read_homography(data),
                **_read_optional(data),
            )
        check_keys(data, _CAMERA_KEYS, _OPTIONAL_KEYS, "rig")
        visible = camera_from_mapping(data["visible"], "visible")
        thermal = camera_from_mapping(data["thermal"], "thermal")
        return cls(
            visible_size=(visible.width, visible.height),
            thermal_size=(thermal.width, thermal.height),
            visible=visible,
            thermal=thermal,
            t_thermal_rgb=_read_transform(data),
            reference_depth_m=read_positive(data, "reference_depth_m"),
            **_read_optional(data),
        )

    def to_mapping(self) -> dict[str, Any]:
        """Return plain nested values that ``from_mapping`` accepts."""
        optional: dict[str, Any] = {}
        if self.thermal_offset_ms:
            optional["thermal_offset_ms"] = self.thermal_offset_ms
        if self.calibration:
            optional["calibration"] = dict(self.calibration)
        if self.homography is not None:
            return {
                "homography": self.homography.tolist(),
                "visible_size": list(self.visible_size),
                "thermal_size": list(self.thermal_size),
                **optional,
            }
        assert self.visible is not None
        assert self.thermal is not None
        assert self.t_thermal_rgb is not None
        return {
            "visible": camera_to_mapping(self.visible),
            "thermal": camera_to_mapping(self.thermal),
            "T_thermal_rgb": self.t_thermal_rgb.tolist(),
            "reference_depth_m": self.reference_depth_m,
            **optional,
        }

    def save(self, path: str | Path) -> None:
        """Write the rig file; an interrupted write leaves an existing file as it was.

        Raises:
            CalibrationError: The file cannot be written.
        """
        text = yaml.safe_dump(self.to_mapping(), sort_keys=False, default_flow_style=None)
        try:
            with atomic_path(path) as partial:
                partial.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CalibrationError(f"{path}: cannot be written ({error.strerror})") from None


def _read_optional(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys that any rig file may have, or raise when they are wrong."""
    key = "thermal_offset_ms"
    offset = data.get(key, 0.0)
    number = isinstance(offset, int | float) and not isinstance(offset, bool)
    if not number or not abs(offset) <= _LARGEST_OFFSET_MS:
        raise CalibrationError(
            f"{key}: expected milliseconds within {_LARGEST_OFFSET_MS:g} of 0, got {offset!r}"
        )
    record = data.get("calibration", {})
    if not isinstance(record, Mapping):
        raise CalibrationError(f"calibration: expected a mapping, got {type(record).__name__}")
    return {key: float(offset), "calibration": record}


def _read_homography(data: Mapping[str, Any]) -> Matrix:
    """Return the homography, or raise when it cannot map one image onto the other."""
    matrix = read_matrix(data["homography"], (3, 3), "homography")
    if abs(np.linalg.det(matrix)) < 1e-12 * max(1.0, float(np.abs(matrix).max()) ** 3):
        raise CalibrationError("homography: the matrix is singular; give the 3x3 of a calibration")
    return matrix


def _read_transform(data: Mapping[str, Any]) -> Matrix:
    """Return ``T_thermal_rgb``, or raise when it is no rigid transform in metres."""
    key = "T_thermal_rgb"
    matrix = read_matrix(data[key], (4, 4), key)
    rotation, translation = matrix[:3, :3], matrix[:3, 3]
    if not np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-9):
        raise CalibrationError(f"{key}: last row is {matrix[3].tolist()}, expected [0, 0, 0, 1]")
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if error > 1e-3:
        raise CalibrationError(
            f"{key}: the 3x3 part is off a rotation by {error:.3g} (limit 0.001); "
            "give orthonormal rows with enough digits"
        )
    if np.linalg.det(rotation) < 0:
        raise CalibrationError(f"{key}: the 3x3 part mirrors (determinant -1), not a rotation")
    baseline = float(np.linalg.norm(translation))
    if baseline > _LARGEST_BASELINE_M:
        raise CalibrationError(
            f"{key}: the cameras are {baseline:.3g} m apart (limit {_LARGEST_BASELINE_M:g} m); "
            "give the translation in metres"
        )
    return matrix
