"""From a recording of a board to a rig: intrinsics, pose and time offset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fusion_core.calibration.clock import Clock, refine_offset, rough_offset
from fusion_core.calibration.following import Follower
from fusion_core.calibration.intrinsics import Intrinsics, calibrate_camera, known_camera
from fusion_core.calibration.pose import LEAST_PAIRS, Pose, ViewPair, shared_points, solve_pose
from fusion_core.calibration.recording import Track
from fusion_core.calibration.selection import is_continuous, spread_views
from fusion_core.calibration.targets import Target
from fusion_core.errors import CalibrationError
from fusion_core.types import CameraModel, Modality

_LEAST_SHARED: Final = 6  # points of the board that both cameras see


@dataclass(frozen=True, eq=False)
class Calibration:
    """What a recording of a board tells about a rig.

    Attributes:
        target: The board.
        visible: The visible camera.
        thermal: The thermal camera.
        pose: Where the thermal camera sits.
        offset_ms: What to add to thermal stamps.
        clock: How the offset was measured, None when it was given or the recording has none.
    """

    target: Target
    visible: Intrinsics
    thermal: Intrinsics
    pose: Pose
    offset_ms: float
    clock: Clock | None


def calibrate(
    target: Target,
    tracks: dict[Modality, Track],
    *,
    cameras: dict[Modality, CameraModel] | None = None,
    offset_ms: float | None = None,
) -> Calibration:
    """Calibrate both cameras, their pose, and the time offset between them.

    Snapshots (pictures that do not follow the board's motion) are paired by their stamps, and
    tell no offset.

    Args:
        target: The board.
        tracks: Where each camera saw it.
        cameras: Intrinsics that are known already, by modality.
        offset_ms: What to add to thermal stamps, measured when None.

    Raises:
        CalibrationError: The recording does not determine the rig; the message says what lacks.
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
    clock = None
    if offset_ms is None and moving:
        lag = rough_offset(target, *both)
        pairs = _pairs(target, *both, lag.lag_ns, moving=True)
        clock = refine_offset(target, both, models, solve_pose(target, pairs, *models), lag)
        offset_ms = clock.offset_ms
    offset_ms = offset_ms or 0.0
    pose = solve_pose(target, _pairs(target, *both, offset_ms * 1e6, moving=moving), *models)
    return Calibration(target, visible, thermal, pose, offset_ms, clock)


def _pairs(
    target: Target, visible: Track, thermal: Track, offset_ns: float, *, moving: bool
) -> list[ViewPair]:
    """Pair a selection of thermal views with the board as the visible camera saw it then."""
    follower = Follower(target, visible)
    partners = {}
    for view in thermal.views:
        moment = view.stamp_ns + round(offset_ns)
        if moving:
            partner = follower.at(moment)
        else:
            partner = follower.nearest(moment, 0.5 * visible.period_ns)
        if partner is not None and shared_points((partner, view)) >= _LEAST_SHARED:
            partners[view.stamp_ns] = partner
    paired = [view for view in thermal.views if view.stamp_ns in partners]
    if len(paired) < LEAST_PAIRS:
        raise CalibrationError(
            f"both cameras see the board at the same time in {len(paired)} pictures (at least "
            f"{LEAST_PAIRS} are needed); hold it where the views overlap, farther away, and check "
            "that both streams were recorded together"
        )
    shared = Track(thermal.modality, thermal.size, thermal.stamps, paired)
    return [(partners[view.stamp_ns], view) for view in spread_views(target, shared)]
