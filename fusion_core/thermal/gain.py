"""Automatic gain control: from counts to [0, 1], steady in time."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.types import FloatImage

_SAMPLES: Final = 8_000  # pixels that the statistics are taken from
_KNEE: Final = 0.9  # share of the range below which the mapping is linear
_RELEASE: Final = 3.0  # the range narrows this many times slower than it widens
_GAP_S: Final = 2.0  # a pause (plus three time constants) after which the scene is a new one
_BINS: Final = 256
_LEVELS: Final = 4096
_PLATEAU: Final = 3.0  # limit of a bin, relative to a flat histogram
_MAX_GAMMA: Final = 3.0  # strongest darkening of a hot background


class GainControl:
    """Maps counts between two smoothed limits to [0, 1]; hot is bright.

    The limits are percentiles that follow the scene with a time constant, fast outwards and slowly
    inwards, so that a hot object that comes and goes does not pump the picture. Counts above the
    upper limit are rolled off towards 1 and stay apart, instead of being clipped. A curve follows,
    smoothed in the same way: a power that keeps the median count at or below ``midtone``, because
    under a cold sky the limits alone would show the whole ground near white; or, with ``plateau``,
    equalisation by a histogram whose bins are limited.
    """

    def __init__(
        self, low: float, high: float, smoothing_s: float, midtone: float, *, plateau: bool
    ) -> None:
        """Take the two percentiles, the time constant in seconds and the brightest median."""
        self._percentiles = (low, high)
        self._smoothing = smoothing_s
        self._midtone = midtone
        self._plateau = plateau
        self.reset()

    def reset(self) -> None:
        """Forget the scene."""
        self._limits: tuple[float, float] | None = None
        self._curve: NDArray[np.float64] | None = None
        self._stamp: int | None = None

    def start(self, low: float, high: float, stamp_ns: int) -> None:
        """Begin with these limits and no curve at a moment, to close in on the scene slowly."""
        self._limits, self._stamp = (low, high), stamp_ns
        self._curve = np.linspace(0, 1, _BINS + 1)

    @property
    def limits(self) -> tuple[float, float] | None:
        """Counts shown black and near-white, None before the first frame."""
        return self._limits

    def apply(
        self, counts: NDArray[Any], stamp_ns: int, least_span: float, *, hold: bool
    ) -> FloatImage:
        """Return ``HxW`` float32 in [0, 1].

        Args:
            counts: ``HxW`` uint8, uint16 or float32; NaN becomes 0.
            stamp_ns: Capture time in nanoseconds.
            least_span: Smallest distance of the limits in counts: a flat scene stays flat.
            hold: Keep the limits as they are, for a frame that does not show the scene.
        """
        sample = _sample(counts)
        weights = self._weights(stamp_ns)
        if self._limits is None or (sample.size and not hold):
            self._follow(sample, weights, least_span)
        low, high = self._limits or (0.0, 1.0)
        if self._curve is None or (sample.size and not hold):
            self._bend(_roll_off(sample, low, high), weights[1])
        if counts.dtype == np.uint16:
            # Far fewer counts occur than there are pixels.
            coldest, hottest = int(counts.min()), int(counts.max())
            occurring = np.arange(coldest, hottest + 1)
            table = self._through_curve(_roll_off(occurring, low, high))
            # Every index fits; without the check of each the table is read a third faster.
            place = counts - np.uint16(coldest)
            return np.asarray(np.take(table, place, mode="clip"), np.float32)
        return self._through_curve(_roll_off(counts, low, high))

    def _weights(self, stamp_ns: int) -> tuple[float, float]:
        """Return the weights of a new frame for a widening and for a narrowing range."""
        elapsed = math.inf if self._stamp is None else (stamp_ns - self._stamp) * 1e-9
        self._stamp = stamp_ns
        if not 0 <= elapsed <= _GAP_S + 3 * self._smoothing or self._smoothing == 0:
            return 1.0, 1.0
        rate = elapsed / self._smoothing
        return 1 - math.exp(-rate), 1 - math.exp(-rate / _RELEASE)

    def _follow(
        self, sample: NDArray[Any], weights: tuple[float, float], least_span: float
    ) -> None:
        """Move the limits towards the sample's percentiles."""
        if sample.size == 0:
            return
        low, high = _percentiles(sample, self._percentiles)
        lack = max(0.0, least_span - (high - low)) / 2
        low, high = low - lack, high + lack
        if self._limits is not None:
            widen, narrow = weights
            old_low, old_high = self._limits
            low = old_low + (widen if low < old_low else narrow) * (low - old_low)
            # Brightness goes with the reciprocal of the span: equal ratios look equally fast.
            span, old_span = max(high - low, least_span), old_high - old_low
            weight = widen if span > old_span else narrow
            high = low + old_span * (span / old_span) ** weight
        self._limits = (low, high)

    def _bend(self, shown: FloatImage, weight: float) -> None:
        """Move the curve towards the one that suits the sample."""
        curve = _equalised(shown) if self._plateau else self._darkened(shown)
        self._curve = curve if self._curve is None else self._curve + weight * (curve - self._curve)

    def _darkened(self, shown: FloatImage) -> NDArray[np.float64]:
        """Return the power, at least 1, that brings the median down to the midtone."""
        grid = np.linspace(0, 1, _BINS + 1)
        median = float(np.median(shown)) if shown.size else 0.0
        if not self._midtone < median < 1:
            return grid
        return np.asarray(grid ** min(math.log(self._midtone) / math.log(median), _MAX_GAMMA))

    def _through_curve(self, shown: FloatImage) -> FloatImage:
        """Map [0, 1] through the curve."""
        assert self._curve is not None
        grid = np.linspace(0, 1, _LEVELS)
        table = np.interp(grid, np.linspace(0, 1, _BINS + 1), self._curve).astype(np.float32)
        level = (shown * np.float32(_LEVELS - 1) + np.float32(0.5)).astype(np.uint16)
        return np.asarray(np.take(table, level, mode="clip"), dtype=np.float32)


def _equalised(shown: FloatImage) -> NDArray[np.float64]:
    """Return the cumulative histogram with limited bins."""
    bins = np.minimum((shown * np.float32(_BINS)).astype(np.intp), _BINS - 1)
    histogram = np.bincount(bins, minlength=_BINS)
    limited = np.minimum(histogram, max(1.0, _PLATEAU * shown.size / _BINS))
    curve = np.concatenate(([0.0], np.cumsum(limited)))
    return np.asarray(curve / max(curve[-1], 1.0))


def _sample(counts: NDArray[Any]) -> NDArray[Any]:
    """Return a regular subset of the finite pixels."""
    step = max(1, math.isqrt(counts.size // _SAMPLES))
    sample = counts[::step, ::step].ravel()
    return sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample


def _percentiles(sample: NDArray[Any], percentiles: tuple[float, float]) -> tuple[float, float]:
    """Return two order statistics of the sample."""
    low, high = (round(p / 100 * (sample.size - 1)) for p in percentiles)
    ordered = np.partition(sample, (low, high))
    return float(ordered[low]), float(ordered[high])


def _roll_off(counts: NDArray[Any], low: float, high: float) -> FloatImage:
    """Map ``low`` to 0, linearly up to the knee, then ever slower towards 1.

    Above the knee ``k``: ``1 - (1-k)^2 / (x + 1 - 2k)``, of slope 1 at the knee and below 1 for
    every finite count.
    """
    scale = 1.0 / (high - low)
    shown: FloatImage = np.multiply(counts, np.float32(scale), dtype=np.float32)
    shown -= np.float32(low * scale)
    np.maximum(shown, 0, out=shown)
    flat = shown.reshape(-1)
    hot = np.flatnonzero(~(flat <= _KNEE))  # the negation catches NaN as well
    above = flat[hot]
    above = np.float32(1) - np.float32((1 - _KNEE) ** 2) / (above + np.float32(1 - 2 * _KNEE))
    flat[hot] = np.nan_to_num(above, nan=0.0)
    return shown
