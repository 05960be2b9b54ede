"""How sure a figure over pictures is: intervals by resampling the pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 90 % interval.

    Attributes:
        value: The figure over all pictures.
        low: 5th percentile over resampled sets of pictures.
        high: 95th percentile.
    """

    value: float
    low: float
    high: float


def bootstrap(
    figure: Callable[[NDArray[np.int64]], float], count: int, *, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Return a figure with its interval (Efron, 1979: the percentile bootstrap).

    Args:
        figure: Maps indices of pictures, repeated as drawn, to the figure; nan where undefined.
        count: Number of pictures.
        draws: Number of resampled sets.
        seed: Seed of the draws.
    """
    drawn = np.random.default_rng(seed).integers(0, count, (draws, count))
    low, high = np.nanpercentile([figure(picks) for picks in drawn], (5, 95))
    return Interval(figure(np.arange(count)), float(low), float(high))
