"""From a recording of a board to a rig: intrinsics, pose and time offset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fusion_core.calibration.intrinsics import Intrinsics, calibrate_camera, known_camera
from fusion_core.calibration.recording import TargetTrack
from fusion_core.calibration.relative_pose import (
    LEAST_PAIRS,
    RelativePose,
    ViewPair,
    shared_points,
    solve_relative_pose,
)
from fusion_core.calibration.selection import is_continuous, spread_views
from fusion_core.calibration.target_follower import TargetFollower
from fusion_core.calibration.targets import Target
from fusion_core.calibration.time_offset import TimeOffset, refine_offset, rough_offset
from fusion_core.errors import CalibrationError
from fusion_core.types import CameraModel, Modality

_LEAST_SHARED: Final = 6  # points of the board that both cameras see


@dataclass(frozen=True, eq=False)
class Calibration:
    """Result of a calibration with a board.

    Attributes:
        target: The board.
        visible: The visible camera.
        thermal: The thermal camera.
        pose: Pose of the thermal camera.
        offset_ms: Added to thermal stamps.
        time_offset: How the offset was measured, None when it was given or for snapshots.
    """

    target: Target
    visible: Intrinsics
    thermal: Intrinsics
    pose: RelativePose
    offset_ms: float
    time_offset: TimeOffset | None


def calibrate(
    target: Target,
    tracks: dict[Modality, TargetTrack],
    *,
    cameras: dict[Modality, CameraModel] | None = None,
    offset_ms: float | None = None,
) -> Calibration:
    """Calibrate both cameras, their pose, and the time offset between them.

    Snapshots (images between which the board moved far) are paired by their stamps, without an
    offset.

    Args:
        target: The board.
        tracks: Detections of the board by each camera.
        cameras: Known intrinsics, by modality.
        offset_ms: Added to thermal stamps, measured when None.

    Raises:
        CalibrationError: The recording does not determine the rig; the message names the cause.
    """
    visible, thermal = (
        known_camera(target, tracks[modality], cameras[modality])
        if cameras and modality in cameras
        else calibrate_camera(target, tracks[modality])
        for modality in ("visible", "thermal")
    )
    both = (tracks["visible"], tracks["thermal"])
    moving = all(is_continuous(target, track) for track in both)
    models = (visible.camera, thermal.camera)
    time_offset = None
    if offset_ms is None and moving:
        lag = rough_offset(target, *both)
        pairs = _pairs(target, *both, lag.lag_ns, moving=True)
        time_offset = refine_offset(
            target, both, models, solve_relative_pose(target, pairs, *models), lag
        )
        offset_ms = time_offset.offset_ms
    offset_ms = offset_ms or 0.0
    pose = solve_relative_pose(
        target, _pairs(target, *both, offset_ms * 1e6, moving=moving), *models
    )
    return Calibration(target, visible, thermal, pose, offset_ms, time_offset)


def _pairs(
    target: Target, visible: TargetTrack, thermal: TargetTrack, offset_ns: float, *, moving: bool
) -> list[ViewPair]:
    """Pair a selection of thermal views with simultaneous, interpolated visible views."""
    follower = TargetFollower(target, visible)
    partners = {}
    for view in thermal.views:
        stamp_ns = view.stamp_ns + round(offset_ns)
        if moving:
            partner = follower.view_at(stamp_ns)
        else:
            partner = follower.nearest_view(stamp_ns, 0.5 * visible.period_ns)
        if partner is not None and shared_points((partner, view)) >= _LEAST_SHARED:
            partners[view.stamp_ns] = partner
    paired = [view for view in thermal.views if view.stamp_ns in partners]
    if len(paired) < LEAST_PAIRS:
        raise CalibrationError(
            f"both cameras see the board at the same time in {len(paired)} images (at least "
            f"{LEAST_PAIRS} are needed); hold it where the views overlap, farther away, and check "
            "that both streams were recorded together"
        )
    shared = TargetTrack(thermal.modality, thermal.size, thermal.stamps, paired)
    return [(partners[view.stamp_ns], view) for view in spread_views(target, shared)]
