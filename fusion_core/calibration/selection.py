"""Selection of views of a board for calibration: sharp, still and diverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from fusion_core.calibration.recording import TargetTrack, TargetView
from fusion_core.calibration.targets import Points, Target
from fusion_core.errors import CalibrationError

LEAST_VIEWS: Final = 8
_MOST_VIEWS: Final = 60
_DUPLICATE: Final = 0.01  # distance of two views below which the second adds nothing
_STILL_PX: Final = 3.0  # motion from frame to frame without noticeable blur
_SLOWEST_PERCENT: Final = 75  # of the views, used when most of them move faster than that
_BLURRED: Final = 0.6  # of the median sharpness
_CONTINUOUS: Final = 0.05  # of the image width: larger steps are separate snapshots
_LEAST_SPAN: Final = 0.4  # of the image's width and height that the board must cover


@dataclass(frozen=True)
class TargetAppearance:
    """Position, size and tilt of a board in an image.

    Attributes:
        centre: Pixel of the board's middle.
        size_px: Side in pixels of a square with the board's area.
        tilt: Relative change of depth over the board, along its columns and rows.
    """

    centre: tuple[float, float]
    size_px: float
    tilt: tuple[float, float]


def target_appearance(target: Target, view: TargetView) -> TargetAppearance:
    """Return the appearance of the board in a view, from the homography of its points."""
    matrix, _ = cv2.findHomography(target.points[view.ids], view.pixels)
    if matrix is None:
        raise CalibrationError("a view of the target is degenerate: all its points are collinear")
    extent = np.ptp(target.points, axis=0)
    middle = target.points.min(axis=0) + extent / 2
    x, y, depth = matrix @ (*middle, 1.0)
    # Area scale of a homography at a point: det(H) / depth^3.
    area = abs(np.linalg.det(matrix)) / abs(depth) ** 3 * extent[0] * extent[1]
    tilt = matrix[2, :2] * extent / depth
    return TargetAppearance(
        (x / depth, y / depth), float(np.sqrt(area)), (float(tilt[0]), float(tilt[1]))
    )


def is_continuous(target: Target, track: TargetTrack) -> bool:
    """Return whether the board was recorded in motion, rather than as separate snapshots."""
    steps = _steps(target, track)
    near = steps[np.isfinite(steps)]
    return near.size > LEAST_VIEWS and bool(np.median(near) < _CONTINUOUS * track.size[0])


def select_views(target: Target, track: TargetTrack) -> list[TargetView]:
    """Return views to calibrate a camera with, spread over place, distance and tilt.

    Raises:
        CalibrationError: There are too few, or the board stayed in one spot.
    """
    chosen = spread_views(target, track)
    if len(chosen) < LEAST_VIEWS:
        raise CalibrationError(
            f"{track.modality}: {len(track.views)} of {len(track.stamps)} frames show the target "
            f"{target.spec}, {len(chosen)} of them usable and different from each other, at least "
            f"{LEAST_VIEWS} are needed; show the board near and far, everywhere in the image, "
            "and tilted to all sides"
        )
    _check_span(track, chosen)
    return chosen


def spread_views(target: Target, track: TargetTrack) -> list[TargetView]:
    """Return clear views in order of time, by farthest-point selection."""
    views = _clear_views(target, track)
    features = _features(target, track, views)
    chosen = [int(np.argmin(np.linalg.norm(features - features.mean(axis=0), axis=1)))]
    distance = np.linalg.norm(features - features[chosen[0]], axis=1)
    while len(chosen) < min(_MOST_VIEWS, len(views)) and distance.max() > _DUPLICATE:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.linalg.norm(features - features[chosen[-1]], axis=1))
    return [views[index] for index in sorted(chosen)]


def _clear_views(target: Target, track: TargetTrack) -> list[TargetView]:
    """Return the views that are neither blurred nor, in a continuous recording, in fast motion."""
    sharpest = np.median([view.sharpness for view in track.views])
    clear = np.array([view.sharpness >= _BLURRED * sharpest for view in track.views])
    if is_continuous(target, track):
        steps = _steps(target, track)
        limit = max(_STILL_PX, float(np.nanpercentile(steps, _SLOWEST_PERCENT)))
        clear &= ~(steps > limit)
    return [view for view, good in zip(track.views, clear, strict=True) if good]


def _steps(target: Target, track: TargetTrack) -> Points:
    """Return the distance the board's middle moved since the frame before, NaN where unknown."""
    centres = np.array([target_appearance(target, view).centre for view in track.views])
    stamps = np.array([view.stamp_ns for view in track.views])
    steps = np.full(len(stamps), np.nan)
    if len(stamps) > 1:
        moved = np.linalg.norm(np.diff(centres, axis=0), axis=1)
        near = np.diff(stamps) < 1.5 * track.period_ns
        steps[1:] = np.where(near, moved, np.nan)
    return steps


def _features(target: Target, track: TargetTrack, views: Sequence[TargetView]) -> Points:
    """Return a row per view: place, distance and tilt, each spanning about one."""
    rows = []
    for view in views:
        seen = target_appearance(target, view)
        place = np.array(seen.centre) / track.size
        rows.append([*place, np.log(seen.size_px) / 2, *np.clip(seen.tilt, -0.5, 0.5)])
    return np.array(rows)


def _check_span(track: TargetTrack, views: Sequence[TargetView]) -> None:
    """Raise when the board covered a small part of the image: distortion elsewhere is unknown."""
    points = np.concatenate([view.pixels for view in views])
    span = np.ptp(points, axis=0) / track.size
    if span.min() < _LEAST_SPAN:
        raise CalibrationError(
            f"{track.modality}: the board was shown in one spot, {span[0]:.0%} of the image's "
            f"width and {span[1]:.0%} of its height (at least {_LEAST_SPAN:.0%} of both are "
            "needed); move it through the whole image"
        )
