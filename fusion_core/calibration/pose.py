"""Where the thermal camera sits: its pose relative to the visible one, from a board both see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.calibration.following import turned
from fusion_core.calibration.intrinsics import pose_of
from fusion_core.calibration.recording import View
from fusion_core.calibration.targets import Points, Target
from fusion_core.errors import CalibrationError
from fusion_core.registration.warp import undistort
from fusion_core.types import CameraModel

LEAST_PAIRS: Final = 6
_FAR: Final = 0.2  # disagreement of two poses, radians or shares of the board's distance
_MOST_RMS_PX: Final = 1.5

ViewPair = tuple[View, View]


@dataclass(frozen=True, eq=False)
class Pose:
    """The pose of the thermal camera, and how well it explains the pairs.

    Attributes:
        matrix: 4x4 ``T_thermal_rgb``, metres.
        rms_px: Root mean square distance between seen and computed points in pixels, over both
            cameras, with lens distortion removed.
        pairs: Visible and thermal view of each moment used, the board the same way round.
        errors: RMS per pair in pixels: visible, thermal; ``Nx2``.
        depth_m: Median distance of the board from the visible camera.
    """

    matrix: Points
    rms_px: float
    pairs: tuple[ViewPair, ...]
    errors: Points
    depth_m: float


def solve_pose(
    target: Target, pairs: Sequence[ViewPair], visible: CameraModel, thermal: CameraModel
) -> Pose:
    """Find the pose that all pairs agree on.

    A chessboard seen in one camera may be taken as turned by 180 degrees in the other: of both
    readings of each pair that one is used which agrees with the other pairs.

    Raises:
        CalibrationError: The pairs do not agree on one pose.
    """
    agreed, depth_m = _agreeing(target, pairs, visible, thermal)
    if len(agreed) < max(LEAST_PAIRS, len(pairs) // 2):
        raise CalibrationError(
            f"only {len(agreed)} of {len(pairs)} pairs agree on where the cameras sit: they must "
            "be fixed to each other and see the same board; with a wrong time offset a moving "
            "board is not in the same place"
        )
    common = [_common(pair) for pair in agreed]
    boards = [
        np.pad(target.points[view.ids], ((0, 0), (0, 1))).astype(np.float32) for view, _ in common
    ]
    k = [np.array(camera.k).reshape(3, 3) for camera in (visible, thermal)]
    seen, warm = (
        [_ideal(camera, matrix, pair[side].pixels) for pair in common]
        for side, (camera, matrix) in enumerate(zip((visible, thermal), k, strict=True))
    )
    rms, *_, rotation, translation, _, _, _, _, errors = cv2.stereoCalibrateExtended(
        boards,
        seen,
        warm,
        *(k[0], np.zeros(5), k[1], np.zeros(5)),
        (visible.width, visible.height),
        np.eye(3),
        np.zeros((3, 1)),
        flags=cv2.CALIB_FIX_INTRINSIC,
    )
    if rms > _MOST_RMS_PX:
        raise CalibrationError(
            f"the pose between the cameras leaves {rms:.1f} px RMS (limit {_MOST_RMS_PX:g}): the "
            "board is not the one described, the cameras move against each other, or their clocks "
            "do not agree"
        )
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = np.ravel(translation)
    return Pose(matrix, float(rms), tuple(agreed), np.asarray(errors), depth_m)


def _agreeing(
    target: Target, pairs: Sequence[ViewPair], visible: CameraModel, thermal: CameraModel
) -> tuple[list[ViewPair], float]:
    """Return the pairs that agree on one pose, the way they do, and the board's distance."""
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
    agreed = []
    for ways, candidates in zip(readings, poses, strict=True):
        apart = [_distance(best, candidate, depth) for candidate in candidates]
        if min(apart) < _FAR:
            agreed.append(ways[int(np.argmin(apart))])
    return agreed, depth


def _distance(first: Points, second: Points, depth_m: float) -> float:
    """Return how much two poses differ: angle, plus shift as a share of the board's distance."""
    turn = first[:3, :3].T @ second[:3, :3]
    angle = np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))
    return float(angle + np.linalg.norm(first[:3, 3] - second[:3, 3]) / depth_m)


def _common(pair: ViewPair) -> ViewPair:
    """Reduce both views to the points that both show."""
    if np.array_equal(pair[0].ids, pair[1].ids):
        return pair
    ids = np.intersect1d(pair[0].ids, pair[1].ids)
    first, second = (
        View(view.stamp_ns, ids, view.pixels[np.searchsorted(view.ids, ids)], view.sharpness)
        for view in pair
    )
    return first, second


def shared_points(pair: ViewPair) -> int:
    """Return how many points both views show."""
    return len(np.intersect1d(pair[0].ids, pair[1].ids))


def _ideal(camera: CameraModel, matrix: Points, pixels: Points) -> NDArray[np.float32]:
    """Return pixels of the same camera with a lens that does not distort."""
    rays = undistort(camera, pixels)
    ideal = rays * np.diag(matrix)[:2] + matrix[:2, 2]
    return ideal.astype(np.float32).reshape(-1, 1, 2)
