"""Time offset between the cameras from a board that moves before both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.calibration.correlation import Lag, best_lag, velocity
from fusion_core.calibration.intrinsics import pose_of
from fusion_core.calibration.recording import TargetTrack, TargetView
from fusion_core.calibration.relative_pose import LEAST_PAIRS, RelativePose
from fusion_core.calibration.selection import LEAST_VIEWS
from fusion_core.calibration.target_follower import TargetFollower, centre_path, turned
from fusion_core.calibration.targets import Points, Target
from fusion_core.errors import CalibrationError
from fusion_core.registration.warp import project
from fusion_core.types import CameraModel

LARGEST_OFFSET_MS: Final = 2000.0
_MOST_VIEWS: Final = 200
_ITERATIONS: Final = 8
_LEAST_SPEED: Final = 0.02  # of the image's width per second, root mean square
_LEAST_SCORE: Final = 0.6
_MOST_DEVIATION_MS: Final = 5.0
_OUTLIER: Final = 3.0
_STEP_POSE: Final = 1e-6  # of the numerical derivatives in radians and metres
_STEP_NS: Final = 1e6  # of the numerical derivative in time
_DONE_NS: Final = 1e4


@dataclass(frozen=True, eq=False)
class TimeOffset:
    """A measured time offset.

    Attributes:
        offset_ms: Added to thermal stamps.
        deviation_ms: One standard deviation, None where it is unknown.
        method: ``board``, or ``motion`` of the scene.
        lag: The correlation of the initial search.
    """

    offset_ms: float
    deviation_ms: float | None
    method: str
    lag: Lag


def rough_offset(target: Target, visible: TargetTrack, thermal: TargetTrack) -> Lag:
    """Return the offset at which the board's motion in both cameras correlates best.

    Raises:
        CalibrationError: The board hardly moves, or the motions do not match.
    """
    signals = []
    for track in (visible, thermal):
        if len(track.views) < LEAST_VIEWS:
            raise CalibrationError(
                f"{track.modality}: {len(track.views)} frames show the target, at least "
                f"{LEAST_VIEWS} are needed to measure the time offset; give --time-offset MS if "
                "it is known"
            )
        signal = velocity(centre_path(target, track))
        speed = float(np.sqrt((np.abs(signal[1]) ** 2).mean())) if len(signal[1]) else 0.0
        if speed < _LEAST_SPEED * track.size[0]:
            raise CalibrationError(
                f"{track.modality}: the board moves by {speed:.1f} px/s (at least "
                f"{_LEAST_SPEED * track.size[0]:.0f} are needed), so the time offset between the "
                "cameras cannot be measured; move it, or give --time-offset 0 for cameras that "
                "are triggered together"
            )
        signals.append(signal)
    lag = best_lag(signals[0], signals[1], LARGEST_OFFSET_MS * 1e6)
    if lag is None or lag.score < _LEAST_SCORE:
        score = 0.0 if lag is None else lag.score
        raise CalibrationError(
            f"the board's motion in both cameras does not match at any offset up to "
            f"{LARGEST_OFFSET_MS:g} ms (correlation {score:.2f}, at least {_LEAST_SCORE:g}); were "
            "both streams recorded at the same time? Give --time-offset MS if it is known"
        )
    return lag


def refine_offset(
    target: Target,
    tracks: tuple[TargetTrack, TargetTrack],
    cameras: tuple[CameraModel, CameraModel],
    pose: RelativePose,
    lag: Lag,
) -> TimeOffset:
    """Estimate offset and pose jointly by predicting the thermal views from the visible ones.

    Gauss-Newton over the pose's six parameters and time: each thermal view is compared with the
    board as interpolated between the visible images, at the thermal stamp plus the offset.

    Raises:
        CalibrationError: The motion does not determine the offset.
    """
    follower = TargetFollower(target, tracks[0])
    views = tracks[1].views[:: max(1, len(tracks[1].views) // _MOST_VIEWS)]
    matrix, offset_ns, deviation_ns = pose.matrix.copy(), lag.lag_ns, np.inf
    for _ in range(_ITERATIONS):
        rows = []
        for view in views:
            boards = [
                follower.view_at(view.stamp_ns + round(offset_ns + later))
                for later in (0, _STEP_NS)
            ]
            if boards[0] is not None and boards[1] is not None:
                poses = [pose_of(target, board, cameras[0]) for board in boards if board]
                rows.append(_linearised(target, view, poses, matrix, cameras[1]))
        jacobian, residual = _without_outliers(rows)
        step, *_ = np.linalg.lstsq(jacobian, residual, rcond=None)
        matrix = _small_motion(step[:6]) @ matrix
        offset_ns += float(step[6]) * _STEP_NS
        noise = float((residual**2).mean())
        spread = np.linalg.pinv(jacobian.T @ jacobian)[6, 6] * noise
        deviation_ns = float(np.sqrt(spread)) * _STEP_NS
        if abs(step[6]) * _STEP_NS < _DONE_NS:
            break
    if not deviation_ns < _MOST_DEVIATION_MS * 1e6:
        raise CalibrationError(
            f"the time offset is uncertain by {deviation_ns / 1e6:.1f} ms (limit "
            f"{_MOST_DEVIATION_MS:g}); move the board more, or give --time-offset MS"
        )
    return TimeOffset(float(offset_ns) / 1e6, deviation_ns / 1e6, "board", lag)


def _linearised(
    target: Target, view: TargetView, boards: Sequence[Points], matrix: Points, camera: CameraModel
) -> tuple[Points, Points]:
    """Return Jacobian ``Mx7`` (pose, time in steps) and residual ``M`` of a thermal view.

    Args:
        target: The board.
        view: The view of the thermal camera.
        boards: Poses of the board before the visible camera, at that time and one step later.
        matrix: ``T_thermal_rgb`` so far.
        camera: The thermal camera.
    """
    flat = target.points[view.ids]
    board = np.column_stack((flat, np.zeros(len(flat)), np.ones(len(flat))))

    def predicted(transform: Points) -> Points:
        return project(camera, (board @ transform.T)[:, :3]).ravel()

    here = predicted(matrix @ boards[0])
    columns = [
        (predicted(_small_motion(_STEP_POSE * axis) @ matrix @ boards[0]) - here) / _STEP_POSE
        for axis in np.eye(6)
    ]
    columns.append(predicted(matrix @ boards[1]) - here)
    ways = [view, turned(view)] if target.half_turn else [view]
    residuals = [way.pixels.ravel() - here for way in ways]
    return np.stack(columns, axis=1), min(residuals, key=lambda r: float(np.abs(r).sum()))


def _without_outliers(rows: Sequence[tuple[Points, Points]]) -> tuple[Points, Points]:
    """Stack the equations of the views, without outliers."""
    if len(rows) < LEAST_PAIRS:
        raise CalibrationError(
            f"the visible camera sees the board at the time of {len(rows)} thermal views (at "
            f"least {LEAST_PAIRS} are needed); move it more slowly, where both cameras see it"
        )
    errors = np.array([np.abs(residual).mean() for _, residual in rows])
    good = errors <= _OUTLIER * np.median(errors)
    kept = [row for row, keep in zip(rows, good, strict=True) if keep]
    return np.concatenate([j for j, _ in kept]), np.concatenate([r for _, r in kept])


def _small_motion(step: NDArray[Any]) -> Points:
    """Return the 4x4 of a small rotation vector and shift."""
    transform = np.eye(4)
    transform[:3, :3] = cv2.Rodrigues(step[:3])[0]
    transform[:3, 3] = step[3:]
    return transform
