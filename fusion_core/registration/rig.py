"""Rigs: calibrations of a visible and a thermal camera, and their files."""

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
    CameraRigSchema,
    HomographyRigSchema,
    camera_to_mapping,
    parse_schema,
)
from fusion_core.runtime.files import atomic_path
from fusion_core.runtime.yaml_file import read_mapping
from fusion_core.types import CameraModel

Matrix = NDArray[np.float64]
Size = tuple[int, int]


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
        calibration: How the values were obtained: plain nested values for readers of the file.
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
        if isinstance(data, Mapping) and "homography" in data:
            flat = parse_schema(HomographyRigSchema, data, "")
            return cls(
                visible_size=flat.visible_size,
                thermal_size=flat.thermal_size,
                homography=np.array(flat.homography).reshape(3, 3),
                thermal_offset_ms=flat.thermal_offset_ms,
                calibration=flat.calibration,
            )
        rig = parse_schema(CameraRigSchema, data, "")
        visible, thermal = rig.visible.to_model(), rig.thermal.to_model()
        return cls(
            visible_size=(visible.width, visible.height),
            thermal_size=(thermal.width, thermal.height),
            visible=visible,
            thermal=thermal,
            t_thermal_rgb=np.array(rig.T_thermal_rgb).reshape(4, 4),
            reference_depth_m=rig.reference_depth_m,
            thermal_offset_ms=rig.thermal_offset_ms,
            calibration=rig.calibration,
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
