"""A rig made of what the cameras say of themselves: camera infos and fixed transforms."""

from __future__ import annotations

import math
import re
from typing import Final

import numpy as np

from fusion_core.errors import CalibrationError
from fusion_core.registration.rig import Matrix, Rig
from fusion_core.registration.rigfile import camera_to_mapping
from fusion_core.transport.transforms import TransformTree
from fusion_core.types import CameraModel, Frame, FramePair, Modality

_FORM: Final = re.compile(r"tf(?::(?P<depth>\d+(?:\.\d+)?))?")
_DEPTH_M: Final = 10.0
_LARGEST_ANGLE_DEG: Final = 60.0


def transform_depth(calibration: str) -> float | None:
    """Return the depth of the calibration ``tf`` or ``tf:METRES``, None for a rig file.

    Raises:
        CalibrationError: The depth is zero.
    """
    match = _FORM.fullmatch(calibration)
    if match is None:
        return None
    depth = float(match["depth"] or _DEPTH_M)
    if depth <= 0:
        raise CalibrationError(f"calibration {calibration!r}: the depth must be above 0 m")
    return depth


class FrameRig:
    """Makes a rig for two cameras once their camera infos and the transform are known.

    Transforms may be added from any thread.

    Args:
        depth_m: Distance at which both images shall agree.

    Attributes:
        transforms: Where the cameras' frames lie.
        problem: What is missing or wrong, empty once there is a rig.
    """

    def __init__(self, depth_m: float) -> None:
        self.transforms = TransformTree()
        self.problem = "calibration tf: no pair of images has come yet"
        self._depth = depth_m
        self._tried: tuple[object, ...] = ()

    def find(self, pair: FramePair) -> Rig | None:
        """Return the rig of the cameras that took a pair; None while something is missing.

        Nothing is tried again before something has changed.
        """
        visible, thermal = pair.visible, pair.thermal
        if visible is None or thermal is None:
            return None
        sides = [(frame.frame_id, frame.camera) for frame in (visible, thermal)]
        state = (self.transforms.version, *sides)
        if state == self._tried:
            return None
        self._tried = state
        try:
            cameras = _camera(visible, "visible"), _camera(thermal, "thermal")
            t_thermal_rgb = self.transforms.between(visible.frame_id, thermal.frame_id)
            rig = rig_of(*cameras, t_thermal_rgb, self._depth)
        except CalibrationError as error:
            self.problem = f"calibration tf: {error}"
            return None
        self.problem = ""
        return rig


def rig_of(
    visible: CameraModel, thermal: CameraModel, t_thermal_rgb: Matrix, depth_m: float
) -> Rig:
    """Return the rig of two cameras.

    Args:
        visible: Intrinsics of the visible camera.
        thermal: Intrinsics of the thermal camera.
        t_thermal_rgb: Maps a point of the visible camera's optical frame into the thermal one's.
        depth_m: Distance at which both images shall agree.

    Raises:
        CalibrationError: The cameras look into different directions or are metres apart, or their
            intrinsics are none.
    """
    cosine = (np.trace(t_thermal_rgb[:3, :3]) - 1) / 2
    angle = math.degrees(math.acos(float(np.clip(cosine, -1, 1))))
    if angle > _LARGEST_ANGLE_DEG:
        raise CalibrationError(
            f"the cameras' frames are turned by {angle:.0f} degrees against each other (limit "
            f"{_LARGEST_ANGLE_DEG:.0f}): the images' frame_id must name optical frames (z forward, "
            "x right)"
        )
    data = {
        "visible": camera_to_mapping(_with_distortion(visible)),
        "thermal": camera_to_mapping(_with_distortion(thermal)),
        "T_thermal_rgb": t_thermal_rgb.tolist(),
        "reference_depth_m": depth_m,
    }
    return Rig.from_mapping(data)


def _camera(frame: Frame, modality: Modality) -> CameraModel:
    if frame.camera is None:
        raise CalibrationError(
            f"no calibrated camera info fits the {modality} images; calibrate the camera, or give "
            "a rig file"
        )
    if not frame.frame_id:
        raise CalibrationError(
            f"the {modality} images name no frame; let the driver set header.frame_id, or give a "
            "rig file"
        )
    return frame.camera


def _with_distortion(camera: CameraModel) -> CameraModel:
    """Return a camera without distortion in the form that states none."""
    if camera.d:
        return camera
    return CameraModel(camera.width, camera.height, "plumb_bob", (0.0,) * 5, camera.k)
