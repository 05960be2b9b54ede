"""Focal length, principal point and distortion of one camera from views of a board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.calibration.recording import TargetTrack, TargetView
from fusion_core.calibration.selection import LEAST_VIEWS, select_views, spread_views
from fusion_core.calibration.targets import Points, Target
from fusion_core.errors import CalibrationError
from fusion_core.registration.warp import project, undistort
from fusion_core.types import CameraModel

_LEAST_TURN_DEG: Final = 15.0  # between the two most different directions the board faced
_MOST_RMS_PX: Final = 1.5
_MOST_SPREAD: Final = 0.02  # standard deviation of a focal length, relative
_OUTLIER: Final = 3.0  # times the median view's error
_SIGNIFICANT: Final = 4.0  # standard deviations
_K3: Final = 8  # place of k3 among OpenCV's deviations


@dataclass(frozen=True, eq=False)
class Intrinsics:
    """A calibrated camera, and its residual errors.

    Attributes:
        camera: The result.
        rms_px: Root mean square reprojection error in pixels.
        deviations: One standard deviation of fx, fy, cx, cy in pixels; empty when not estimated.
        views: The views used.
        residuals: Observed minus projected pixels per view, ``Nx2`` each.
    """

    camera: CameraModel
    rms_px: float
    deviations: tuple[float, ...]
    views: tuple[TargetView, ...]
    residuals: tuple[Points, ...]


def calibrate_camera(target: Target, track: TargetTrack) -> Intrinsics:
    """Calibrate one camera by Zhang's method, on a selection of its views.

    The fifth distortion coefficient is estimated only where it is significant.

    Raises:
        CalibrationError: Too few views, all similar or parallel, or a poor fit.
    """
    views = select_views(target, track)
    intrinsics = _fit(target, track, views)
    errors = np.array([_rms(residual) for residual in intrinsics.residuals])
    good = errors <= _OUTLIER * np.median(errors)
    if not good.all() and good.sum() >= LEAST_VIEWS:
        kept = [view for view, keep in zip(views, good, strict=True) if keep]
        intrinsics = _fit(target, track, kept)
    _check(track, target, intrinsics)
    return intrinsics


def known_camera(target: Target, track: TargetTrack, camera: CameraModel) -> Intrinsics:
    """Return the residual errors of a known camera on a selection of its views.

    Raises:
        CalibrationError: The camera is for another resolution, or does not fit the views.
    """
    if (camera.width, camera.height) != track.size:
        raise CalibrationError(
            f"{track.modality}: the given camera is calibrated for {camera.width}x{camera.height}, "
            f"the frames are {track.size[0]}x{track.size[1]}; give the file of this resolution"
        )
    views = spread_views(target, track)
    residuals = [view.pixels - _reproject(target, view, camera) for view in views]
    rms = _rms(np.concatenate(residuals))
    if rms > _MOST_RMS_PX:
        raise CalibrationError(_poor_fit(track, rms, "the given camera is a different one"))
    return Intrinsics(camera, rms, (), tuple(views), tuple(residuals))


def pose_of(target: Target, view: TargetView, camera: CameraModel) -> Points:
    """Return the 4x4 transform from the board's frame into the camera's optical frame."""
    board = _board(target, view)
    rays = undistort(camera, view.pixels)
    _, rotation, place = cv2.solvePnP(board, rays, np.eye(3), None, flags=cv2.SOLVEPNP_ITERATIVE)
    pose = np.eye(4)
    pose[:3, :3] = cv2.Rodrigues(rotation)[0]
    pose[:3, 3] = np.asarray(place).ravel()
    return pose


def _reproject(target: Target, view: TargetView, camera: CameraModel) -> Points:
    """Return the projection of the view's points, at the best pose of the board."""
    pose = pose_of(target, view, camera)
    return project(camera, _board(target, view) @ pose[:3, :3].T + pose[:3, 3])


def _board(target: Target, view: TargetView) -> Points:
    """Return the view's points on the board, ``Nx3``."""
    flat = target.points[view.ids]
    return np.column_stack((flat, np.zeros(len(flat))))


def _fit(target: Target, track: TargetTrack, views: Sequence[TargetView]) -> Intrinsics:
    """Fit five distortion coefficients, or four where k3 is not significant."""
    intrinsics, k3_deviation = _solve(target, track, views, 0)
    if abs(intrinsics.camera.d[4]) < _SIGNIFICANT * k3_deviation:
        intrinsics, _ = _solve(target, track, views, cv2.CALIB_FIX_K3)
    return intrinsics


def _solve(
    target: Target, track: TargetTrack, views: Sequence[TargetView], flags: int
) -> tuple[Intrinsics, float]:
    """Return the camera and the standard deviation of its k3."""
    boards = [_board(target, view).astype(np.float32) for view in views]
    pixels = [view.pixels.astype(np.float32).reshape(-1, 1, 2) for view in views]
    try:
        rms, k, d, rotations, places, spread, _, _ = cv2.calibrateCameraExtended(
            boards, pixels, track.size, np.eye(3), np.zeros(5), flags=flags
        )
    except cv2.error:
        raise CalibrationError(_parallel(track)) from None
    if not np.isfinite(k).all():
        raise CalibrationError(_parallel(track))
    turn = _largest_turn(rotations)
    if turn < _LEAST_TURN_DEG:
        raise CalibrationError(_parallel(track, turn))
    lens = tuple(float(value) for value in np.ravel(d)[:5])
    camera = CameraModel(*track.size, "plumb_bob", lens, tuple(np.ravel(k).tolist()))
    residuals = tuple(
        view.pixels - np.asarray(cv2.projectPoints(board, r, t, k, d)[0]).reshape(-1, 2)
        for view, board, r, t in zip(views, boards, rotations, places, strict=True)
    )
    deviations = [float(value) for value in np.ravel(spread)]
    fitted = Intrinsics(camera, float(rms), tuple(deviations[:4]), tuple(views), residuals)
    return fitted, deviations[_K3]


def _check(track: TargetTrack, target: Target, intrinsics: Intrinsics) -> None:
    """Raise for a fit that is too poor to use."""
    if intrinsics.rms_px > _MOST_RMS_PX:
        raise CalibrationError(
            _poor_fit(track, intrinsics.rms_px, f"the board is not {target.spec}")
        )
    for name, value, deviation in zip(
        ("fx", "fy"), np.array(intrinsics.camera.k)[[0, 4]], intrinsics.deviations, strict=False
    ):
        if deviation > _MOST_SPREAD * value:
            raise CalibrationError(
                f"{track.modality}: {name} = {value:.0f} px is uncertain by {deviation:.0f} px "
                f"(limit {_MOST_SPREAD:.0%}); show the board nearer, larger and more tilted"
            )


def _poor_fit(track: TargetTrack, rms: float, reason: str) -> str:
    return (
        f"{track.modality}: the views do not fit a camera, {rms:.1f} px RMS (limit "
        f"{_MOST_RMS_PX:g}); {reason}, the board is not flat, or the images are blurred by motion"
    )


def _parallel(track: TargetTrack, turn: float = 0.0) -> str:
    return (
        f"{track.modality}: all views of the board are parallel, their directions differ by "
        f"{turn:.0f} degrees at most (at least {_LEAST_TURN_DEG:g} are needed); tilt it by some "
        "30 degrees to all sides"
    )


def _largest_turn(rotations: Sequence[NDArray[Any]]) -> float:
    """Return the largest angle between two normals of the board, in degrees."""
    normals = np.array([cv2.Rodrigues(rotation)[0][:, 2] for rotation in rotations])
    return float(np.degrees(np.arccos(np.clip(normals @ normals.T, -1, 1)).max()))


def _rms(residual: Points) -> float:
    return float(np.sqrt((residual**2).sum(axis=1).mean()))
