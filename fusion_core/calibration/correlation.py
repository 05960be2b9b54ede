"""Delay between two signals, by cross-correlation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Signal = tuple[NDArray[np.int64], NDArray[np.complex128]]
Sampled = tuple[NDArray[np.complex128], NDArray[np.bool_]]
_GAP: Final = 2.5  # periods; signals are not interpolated over longer pauses
_APART_NS: Final = 1e8
_STEPS: Final = 4  # samples per period of the faster signal
_LEAST_OVERLAP: Final = 0.5  # of the shorter signal


@dataclass(frozen=True, eq=False)
class Lag:
    """The best lag of a search.

    Attributes:
        lag_ns: What to add to the second signal's stamps.
        score: Correlation there, in [0, 1].
        second: Largest correlation at another peak, more than 0.1 s away, in [0, 1].
        lags_ns: All lags tried.
        scores: Their correlations.
    """

    lag_ns: float
    score: float
    second: float
    lags_ns: NDArray[np.float64]
    scores: NDArray[np.float64]


def best_lag(first: Signal, second: Signal, largest_ns: float) -> Lag | None:
    """Return the lag at which the second signal correlates best with the first.

    Signals are stamps in nanoseconds and ``NxC`` real or complex values, such as a velocity
    ``x + iy``; the magnitude of the correlation is used, so that a rotated camera has no effect.
    The correlation is over all ``C`` channels together.

    Args:
        first: Stamps and values of the reference.
        second: Stamps and values to be shifted.
        largest_ns: Largest lag to try, either way.

    Returns:
        The lag, interpolated between the steps; None when the signals never overlap by half of
        the shorter one.
    """
    step = min(float(np.median(np.diff(stamps))) for stamps, _ in (first, second)) / _STEPS
    origin = min(int(first[0][0]), int(second[0][0]))
    one, other = (_resample(signal, origin, step) for signal in (first, second))
    reach = int(largest_ns // step)
    shifts = np.arange(-reach, reach + 1)
    scores = np.array([_score(one, other, int(shift)) for shift in shifts])
    if not scores.any():
        return None
    best = int(scores.argmax())
    lag = float(shifts[best])
    if 0 < best < len(scores) - 1:
        left, peak, right = scores[best - 1 : best + 2]
        # The vertex of the parabola through three samples.
        curve = left - 2 * peak + right
        lag += 0.5 * (left - right) / curve if curve < 0 else 0.0
    inner = (scores[1:-1] >= scores[:-2]) & (scores[1:-1] >= scores[2:])
    peaks = np.flatnonzero(inner) + 1
    others = scores[peaks[np.abs(peaks - best) * step > _APART_NS]]
    runner_up = float(others.max(initial=0))
    lags = shifts.astype(np.float64) * step
    return Lag(lag * step, float(scores[best]), runner_up, lags, scores)


def velocity(path: Signal) -> Signal:
    """Return the change per second of a path, at the middle between its samples."""
    stamps, places = path
    gaps = np.diff(stamps)
    known = gaps < _GAP * np.median(gaps)
    middle = stamps[:-1] + gaps // 2
    return middle[known], (np.diff(places, axis=0) / (gaps[:, None] * 1e-9))[known]


def _resample(signal: Signal, origin: int, step: float) -> Sampled:
    """Return the signal at even steps, and where it is known; unknown values are 0."""
    stamps, values = signal
    seconds = (stamps - origin).astype(np.float64)
    grid = np.arange(0, seconds[-1] + step, step)
    after = np.clip(np.searchsorted(seconds, grid), 1, len(seconds) - 1)
    width = seconds[after] - seconds[after - 1]
    known = (grid >= seconds[0]) & (grid <= seconds[-1])
    known &= width < _GAP * np.median(np.diff(seconds))
    filled = np.stack([np.interp(grid, seconds, column) for column in values.T], axis=1)
    return np.where(known[:, None], filled, 0), known


def _score(one: Sampled, other: Sampled, shift: int) -> float:
    """Return the correlation of ``a(t)`` with ``b(t - shift)`` where both are known."""
    (a, a_known), (b, b_known) = one, other
    start, end = max(0, shift), min(len(a), len(b) + shift)
    if end <= start:
        return 0.0
    both = a_known[start:end] & b_known[start - shift : end - shift]
    if both.sum() < _LEAST_OVERLAP * min(a_known.sum(), b_known.sum()):
        return 0.0
    x, y = a[start:end][both], b[start - shift : end - shift][both]
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    energy = float(np.sqrt((np.abs(x) ** 2).sum() * (np.abs(y) ** 2).sum()))
    return float(abs((x * y.conj()).sum()) / energy) if energy > 0 else 0.0
