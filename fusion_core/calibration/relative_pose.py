"""Pose of the thermal camera relative to the visible one, from a board that both see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.calibration.intrinsics import pose_of
from fusion_core.calibration.recording import TargetView
from fusion_core.calibration.target_follower import turned
from fusion_core.calibration.targets import Points, Target
from fusion_core.errors import CalibrationError
from fusion_core.registration.warp import undistort
from fusion_core.types import CameraModel

LEAST_PAIRS: Final = 6
_FAR: Final = 0.2  # difference of two poses, radians or fractions of the board's distance
_MOST_RMS_PX: Final = 1.5

ViewPair = tuple[TargetView, TargetView]


@dataclass(frozen=True, eq=False)
class RelativePose:
    """The pose of the thermal camera, and its residual errors.

    Attributes:
        matrix: 4x4 ``T_thermal_rgb``, metres.
        rms_px: Root mean square distance between seen and computed points in pixels, over both
            cameras, with lens distortion removed.
        pairs: Visible and thermal view of each pair used, with the board's points in one order.
        errors: RMS per pair in pixels: visible, thermal; ``Nx2``.
        depth_m: Median distance of the board from the visible camera.
    """

    matrix: Points
    rms_px: float
    pairs: tuple[ViewPair, ...]
    errors: Points
    depth_m: float


def solve_relative_pose(
    target: Target, pairs: Sequence[ViewPair], visible: CameraModel, thermal: CameraModel
) -> RelativePose:
    """Estimate the pose that is consistent with most pairs.

    The two cameras may number a chessboard's points from opposite ends: of both readings of each
    pair the one that is consistent with the other pairs is used.

    Raises:
        CalibrationError: The pairs are not consistent with one pose.
    """
    consistent, depth_m = _consistent_pairs(target, pairs, visible, thermal)
    if len(consistent) < max(LEAST_PAIRS, len(pairs) // 2):
        raise CalibrationError(
            f"only {len(consistent)} of {len(pairs)} pairs are consistent with one pose of the "
            "cameras: they must be fixed to each other and see the same board, and the time offset "
            "must be right when the board moves"
        )
    common = [_common(pair) for pair in consistent]
    boards = [
        np.pad(target.points[view.ids], ((0, 0), (0, 1))).astype(np.float32) for view, _ in common
    ]
    k = [np.array(camera.k).reshape(3, 3) for camera in (visible, thermal)]
    visible_pixels, thermal_pixels = (
        [_undistorted(camera, matrix, pair[side].pixels) for pair in common]
        for side, (camera, matrix) in enumerate(zip((visible, thermal), k, strict=True))
    )
    rms, *_, rotation, translation, _, _, _, _, errors = cv2.stereoCalibrateExtended(
        boards,
        visible_pixels,
        thermal_pixels,
        *(k[0], np.zeros(5), k[1], np.zeros(5)),
        (visible.width, visible.height),
        np.eye(3),
        np.zeros((3, 1)),
        flags=cv2.CALIB_FIX_INTRINSIC,
    )
    if rms > _MOST_RMS_PX:
        raise CalibrationError(
            f"the pose between the cameras has an error of {rms:.1f} px RMS (limit "
            f"{_MOST_RMS_PX:g}): check that the board is the one described, that the cameras are "
            "fixed to each other, and that their clocks agree"
        )
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = np.ravel(translation)
    return RelativePose(matrix, float(rms), tuple(consistent), np.asarray(errors), depth_m)


def _consistent_pairs(
    target: Target, pairs: Sequence[ViewPair], visible: CameraModel, thermal: CameraModel
) -> tuple[list[ViewPair], float]:
    """Return the pairs that are consistent with one pose, and the board's median distance."""
    readings: list[list[ViewPair]] = []
    poses: list[list[Points]] = []
    depths = []
    for pair in pairs:
        common = _common(pair)
        ways = [common, (common[0], turned(common[1]))] if target.half_turn else [common]
        board = pose_of(target, common[0], visible)
        depths.append(board[2, 3])
        readings.append(ways)
        poses.append([pose_of(target, seen, thermal) @ np.linalg.inv(board) for _, seen in ways])
    depth = float(np.median(depths))
    flat = [pose for ways in poses for pose in ways]
    distances = np.array(
        [[min(_distance(one, way, depth) for way in ways) for ways in poses] for one in flat]
    )
    best = flat[int(np.minimum(distances, _FAR).sum(axis=1).argmin())]
    consistent = []
    for ways, candidates in zip(readings, poses, strict=True):
        apart = [_distance(best, candidate, depth) for candidate in candidates]
        if min(apart) < _FAR:
            consistent.append(ways[int(np.argmin(apart))])
    return consistent, depth


def _distance(first: Points, second: Points, depth_m: float) -> float:
    """Return the difference of two poses: angle, plus shift relative to the board's distance."""
    turn = first[:3, :3].T @ second[:3, :3]
    angle = np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))
    return float(angle + np.linalg.norm(first[:3, 3] - second[:3, 3]) / depth_m)


def _common(pair: ViewPair) -> ViewPair:
    """Reduce both views to the points that both show."""
    if np.array_equal(pair[0].ids, pair[1].ids):
        return pair
    ids = np.intersect1d(pair[0].ids, pair[1].ids)
    first, second = (
        TargetView(view.stamp_ns, ids, view.pixels[np.searchsorted(view.ids, ids)], view.sharpness)
        for view in pair
    )
    return first, second


def shared_points(pair: ViewPair) -> int:
    """Return how many points both views show."""
    return len(np.intersect1d(pair[0].ids, pair[1].ids))


def _undistorted(camera: CameraModel, matrix: Points, pixels: Points) -> NDArray[np.float32]:
    """Return pixels of the same camera without lens distortion."""
    rays = undistort(camera, pixels)
    ideal = rays * np.diag(matrix)[:2] + matrix[:2, 2]
    return ideal.astype(np.float32).reshape(-1, 1, 2)
