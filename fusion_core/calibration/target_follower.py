"""Interpolation of a moving board's points between one camera's images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.calibration.recording import TargetTrack, TargetView
from fusion_core.calibration.selection import target_appearance
from fusion_core.calibration.targets import Points, Target

_SAME_NS: Final = 200_000  # stamps this close are simultaneous
_GAP: Final = 1.6  # periods; over a longer interval an image is missing
_LEAST_POINTS: Final = 6


class TargetFollower:
    """Interpolates the pixels of a moving board, cubically over four successive images."""

    def __init__(self, target: Target, track: TargetTrack) -> None:
        self._target = target
        self._views = track.views
        self._stamps = np.array([view.stamp_ns for view in track.views], dtype=np.int64)
        self._gap_ns = _GAP * track.period_ns

    def view_at(self, stamp_ns: int) -> TargetView | None:
        """Return the board at a stamp, None where too few images are near it."""
        after = int(np.searchsorted(self._stamps, stamp_ns))
        for near in (after - 1, after):
            if 0 <= near < len(self._views) and abs(self._stamps[near] - stamp_ns) <= _SAME_NS:
                return self._views[near]
        if after < 2 or after + 1 >= len(self._views):
            return None
        around = range(after - 2, after + 2)
        if np.diff(self._stamps[after - 2 : after + 2]).max() > self._gap_ns:
            return None
        return self._between([self._views[index] for index in around], stamp_ns)

    def nearest_view(self, stamp_ns: int, within_ns: float) -> TargetView | None:
        """Return the view nearest to a stamp, None when none is within ``within_ns``."""
        index = int(np.argmin(np.abs(self._stamps - stamp_ns)))
        return self._views[index] if abs(self._stamps[index] - stamp_ns) <= within_ns else None

    def _between(self, views: Sequence[TargetView], stamp_ns: int) -> TargetView | None:
        """Interpolate the points that all four views show."""
        ids = views[0].ids
        for view in views[1:]:
            ids = np.intersect1d(ids, view.ids)
        if len(ids) < _LEAST_POINTS:
            return None
        rows = [view.pixels[np.searchsorted(view.ids, ids)] for view in views]
        if self._target.half_turn:
            rows = _same_orientation(rows)
        moments = np.array([view.stamp_ns - stamp_ns for view in views], dtype=np.float64)
        pixels = np.tensordot(_lagrange(moments), np.array(rows), axes=1)
        return TargetView(stamp_ns, ids, pixels, views[1].sharpness)


def centre_path(
    target: Target, track: TargetTrack
) -> tuple[NDArray[np.int64], NDArray[np.complex128]]:
    """Return stamps and places ``x + iy`` in pixels of the board's middle, ``Nx1``."""
    centres = [target_appearance(target, view).centre for view in track.views]
    stamps = np.array([view.stamp_ns for view in track.views], dtype=np.int64)
    return stamps, np.array([[complex(*centre)] for centre in centres])


def turned(view: TargetView) -> TargetView:
    """Return the view of a fully visible board with its points numbered from the other end."""
    return TargetView(view.stamp_ns, view.ids, view.pixels[::-1], view.sharpness)


def _same_orientation(rows: Sequence[Points]) -> list[Points]:
    """Reverse rows of points where that brings them nearer to the row before."""
    same = [rows[0]]
    for row in rows[1:]:
        kept, reversed_ = (np.abs(way - same[-1]).sum() for way in (row, row[::-1]))
        same.append(row if kept <= reversed_ else row[::-1])
    return same


def _lagrange(moments: Points) -> Points:
    """Return the weights of the polynomial through ``moments`` at 0."""
    weights = [
        np.prod([-other / (here - other) for j, other in enumerate(moments) if j != i])
        for i, here in enumerate(moments)
    ]
    return np.array(weights)
