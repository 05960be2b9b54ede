"""Fixed faults of the sensor: dead or stuck pixels, and column stripes."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

_EVERY: Final = 4  # frames between two checks of the sensor
_CONFIRM: Final = 8  # net checks with the fault before a pixel is replaced
_CEILING: Final = 12  # checks without the fault after which a known pixel counts as sound
_THRESHOLD: Final = 12.0  # outlier in units of the typical deviation from the 3x3 median
_POINT_SPREAD: Final = 0.2  # a lens spreads even a point source this much onto a neighbour
_MOST: Final = 0.01  # share of outliers above which it is noise and not faults
_BLUR: Final = 9  # columns over which the scene is smooth enough to show a stripe
_STRIPE_MEMORY: Final = 0.05  # weight of a new frame in the stripe pattern
_STRIPE_LIMIT: Final = 0.02  # largest stripe, relative to the spread of the counts


def fill_unknown(image: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Replace values that are not finite by the median of the others, or 0 where there are none.

    Returns:
        The image and where it was filled; the given image and None when all values are finite.
    """
    unknown = ~np.isfinite(image) if image.dtype.kind == "f" else None
    if unknown is None or not unknown.any():
        return image, None
    known = image[~unknown]
    fill = np.median(known) if known.size else 0.0
    return np.where(unknown, image.dtype.type(fill), image), unknown


class DeadPixels:
    """Finds pixels that stay outliers of their neighbourhood, and fills them by its median.

    A pixel counts as an outlier only when it stands alone: the lens spreads a real point source
    over its neighbours, a fault has no neighbours.
    """

    def __init__(self) -> None:
        """Start with no pixel suspected."""
        self.reset()

    def reset(self) -> None:
        """Forget all pixels, for example when the resolution changes."""
        self._score: NDArray[np.int8] | None = None
        self._bad: NDArray[np.intp] = np.empty(0, dtype=np.intp)
        self._around: NDArray[np.intp] = np.empty((0, 8), dtype=np.intp)
        self._frames = 0

    @property
    def found(self) -> NDArray[np.intp]:
        """Flat indices of the pixels that are replaced."""
        return self._bad

    def repair(self, image: NDArray[Any], filled: NDArray[np.bool_] | None) -> NDArray[Any]:
        """Return the image with faulty pixels replaced; the given one is left as it is.

        Args:
            image: ``HxW``, all values finite.
            filled: ``HxW``, True where a value was made up, which shows no fault; None: nowhere.
        """
        if self._frames % _EVERY == 0:
            self._check(image, filled)
        self._frames += 1
        if self._bad.size == 0:
            return image
        repaired: NDArray[Any] = image.copy()
        around = image.reshape(-1)[self._around]
        repaired.reshape(-1)[self._bad] = np.median(around, axis=1).astype(image.dtype)
        return repaired

    def _check(self, image: NDArray[Any], filled: NDArray[np.bool_] | None) -> None:
        """Raise the score of outliers, lower that of all others, renew the list of faults."""
        outliers = _lone_outliers(image)
        if outliers is None:
            return
        if filled is not None:
            outliers = outliers[~filled.ravel()[outliers]]
        if self._score is None:
            self._score = np.zeros(image.size, dtype=np.int8)
        score = self._score
        np.subtract(score, 1, out=score, where=score > 0)
        score[outliers] = np.minimum(score[outliers] + 2, _CEILING)
        known = self._bad[score[self._bad] > 0]
        self._bad = np.union1d(known, np.flatnonzero(score >= _CONFIRM))
        self._around = _neighbours(self._bad, (image.shape[0], image.shape[1]))


def _lone_outliers(image: NDArray[Any]) -> NDArray[np.intp] | None:
    """Return flat indices of pixels far from their 3x3 median; None when there are too many."""
    median = cv2.medianBlur(image, 3)
    deviation = np.asarray(cv2.absdiff(image, median))
    typical = float(deviation[::4, ::4].mean())
    limit = max(_THRESHOLD * typical, 4.0 if image.dtype.kind == "u" else 0.0)
    candidates = np.flatnonzero(deviation > limit)
    if candidates.size > _MOST * image.size or not np.isfinite(limit):
        return None
    around = _neighbours(candidates, (image.shape[0], image.shape[1]))
    flat, middle = image.ravel(), np.asarray(median).ravel()[candidates].astype(np.float64)
    spread = np.abs(flat[around].astype(np.float64) - middle[:, None])
    # The second largest: a fault may have one faulty neighbour.
    second = np.partition(spread, -2, axis=1)[:, -2] if candidates.size else np.empty(0)
    return candidates[second < _POINT_SPREAD * deviation.ravel()[candidates]]


def _neighbours(indices: NDArray[np.intp], shape: tuple[int, int]) -> NDArray[np.intp]:
    """Return the flat indices of the eight neighbours ``Nx8``, mirrored at the border."""
    y, x = np.divmod(indices, shape[1])
    offsets = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    around = [
        _mirror(y + dy, shape[0]) * shape[1] + _mirror(x + dx, shape[1]) for dy, dx in offsets
    ]
    return np.stack(around, axis=1)


def _mirror(index: NDArray[np.intp], size: int) -> NDArray[np.intp]:
    """Reflect indices just outside ``[0, size)`` to the inside."""
    inside = np.abs(index)
    return np.where(inside >= size, max(0, 2 * size - 2) - inside, inside)


class Destriper:
    """Removes a fixed pattern of columns, learned over time from the columns' mean deviation."""

    def __init__(self) -> None:
        """Start with no pattern."""
        self.reset()

    def reset(self) -> None:
        """Forget the pattern, for example when the resolution changes."""
        self._pattern: NDArray[np.float32] | None = None

    def clean(self, counts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``HxW`` counts without the column pattern."""
        rows = np.ascontiguousarray(counts[::4])
        detail = rows - np.asarray(cv2.blur(rows, (_BLUR, 1), borderType=cv2.BORDER_REFLECT_101))
        limit = np.float32(_STRIPE_LIMIT * max(float(np.ptp(rows)), 1e-6))
        # Clipping keeps upright edges, large but few, from being taken for a stripe.
        stripes: NDArray[np.float32] = np.clip(detail, -limit, limit).mean(axis=0)
        if self._pattern is None:
            self._pattern = stripes
        else:
            self._pattern = self._pattern + np.float32(_STRIPE_MEMORY) * (stripes - self._pattern)
        return counts - self._pattern
