"""Conversion of a calibration to a rig, with a record of how it was obtained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import cv2

import fusion_core
from fusion_core.calibration.intrinsics import Intrinsics
from fusion_core.calibration.scene import SceneFit, SceneSample
from fusion_core.calibration.solve import Calibration
from fusion_core.calibration.time_offset import TimeOffset
from fusion_core.errors import CalibrationError
from fusion_core.registration import Rig
from fusion_core.types import Modality


def rig_from_board(calibration: Calibration, reference_depth_m: float) -> Rig:
    """Return the rig of a board calibration.

    Args:
        calibration: What was found.
        reference_depth_m: Distance at which the images shall agree.
    """
    visible, thermal = calibration.visible.camera, calibration.thermal.camera
    pose = calibration.pose
    details: dict[str, Any] = {
        "target": calibration.target.spec,
        "visible": _camera(calibration.visible),
        "thermal": _camera(calibration.thermal),
        "pose": {
            "pairs": len(pose.pairs),
            "rms_px": round(pose.rms_px, 4),
            "board_depth_m": round(pose.depth_m, 3),
        },
    }
    if calibration.time_offset is not None:
        details["time_offset"] = time_offset_record(calibration.time_offset)
    return Rig(
        visible_size=(visible.width, visible.height),
        thermal_size=(thermal.width, thermal.height),
        visible=visible,
        thermal=thermal,
        t_thermal_rgb=pose.matrix,
        reference_depth_m=reference_depth_m,
        thermal_offset_ms=round(calibration.offset_ms, 3),
        calibration=calibration_record("target", **details),
    )


def rig_from_scene(
    samples: Sequence[SceneSample], fit: SceneFit, offset_ms: float, kind: str
) -> Rig:
    """Return the rig of a map found from the scene.

    Args:
        samples: What the map was estimated from.
        fit: The map.
        offset_ms: Added to thermal stamps.
        kind: ``homography`` or ``affine``.
    """
    sizes = [(image.shape[1], image.shape[0]) for image in (samples[0].visible, samples[0].thermal)]
    details = {"moments": fit.used, "spread_px": round(fit.spread_px, 3)}
    return Rig(
        visible_size=sizes[0],
        thermal_size=sizes[1],
        homography=fit.homography,
        thermal_offset_ms=offset_ms,
        calibration=calibration_record(f"scene, {kind}", **details),
    )


def with_time_offset(
    rig: Rig, time_offset: TimeOffset, sizes: Mapping[Modality, tuple[int, int]], name: str
) -> Rig:
    """Return a rig with a newly measured time offset.

    Args:
        rig: The rig.
        time_offset: The offset.
        sizes: Width and height of the images it was measured on, by modality.
        name: The rig's name for the error message.

    Raises:
        CalibrationError: The rig is for images of another size.
    """
    expected: dict[Modality, tuple[int, int]] = {
        "visible": rig.visible_size,
        "thermal": rig.thermal_size,
    }
    for modality, size in expected.items():
        if sizes[modality] != size:
            raise CalibrationError(
                f"{name} is calibrated for {modality} frames of {size[0]}x{size[1]}, the recording "
                f"has {sizes[modality][0]}x{sizes[modality][1]}; give the rig of this resolution"
            )
    details = {**rig.calibration, "time_offset": time_offset_record(time_offset)}
    if "method" not in details:
        details = calibration_record("time offset only", **details)
    return replace(rig, thermal_offset_ms=round(time_offset.offset_ms, 3), calibration=details)


def calibration_record(method: str, **details: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return how a rig was obtained, as plain values for its file."""
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "method": method,
        "software": f"fusion {fusion_core.__version__}, OpenCV {cv2.__version__}",
        **details,
    }


def time_offset_record(time_offset: TimeOffset) -> dict[str, Any]:
    """Return how a time offset was measured."""
    details: dict[str, Any] = {
        "method": time_offset.method,
        "correlation": round(time_offset.lag.score, 3),
    }
    if time_offset.deviation_ms is not None:
        details["deviation_ms"] = round(time_offset.deviation_ms, 4)
    return details


def _camera(intrinsics: Intrinsics) -> dict[str, Any]:
    details: dict[str, Any] = {
        "views": len(intrinsics.views),
        "rms_px": round(intrinsics.rms_px, 4),
    }
    if intrinsics.deviations:
        details["deviation_px"] = [round(value, 3) for value in intrinsics.deviations]
    return details
