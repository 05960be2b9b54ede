"""Whether the camera sees a remembered place, and how far it has moved."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.scene_memory.detail import average, detail_layer
from fusion_core.types import FloatImage, Mask

Shift = tuple[float, float]

# Blocks of the reduced thermal image; those with detail vote.
_BLOCK: Final = 20
_BLOCK_AGREES: Final = 0.5
_SHARE: Final = 0.5
_FEWEST_BLOCKS: Final = 6
_LEAST_DETAIL: Final = 4e-3**2
_SURE_DETAIL: Final = 8e-3**2
_LOST: Final = 0.3
_FARTHEST_SHARE: Final = 0.1
_STILL_PX: Final = 0.3


class ThermalMatcher:
    """Compares thermal images of a place: smoke, darkness and glare do not hide it from them.

    Args:
        shape: ``(h, w)`` of the images it compares.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._window = cv2.createHanningWindow((shape[1], shape[0]), cv2.CV_32F)

    def shift(self, before: FloatImage, now: FloatImage) -> Shift | None:
        """Return (x, y) with ``now(p + shift) = before(p)`` in pixels, None for another place."""
        first, second = detail_layer(before), detail_layer(now)
        if self._agree(first, second):
            return 0.0, 0.0
        # Hot people outshine the rest: each pixel counts by the sign and a bounded amount.
        bound = 4 * float(np.abs(first).mean()) + 1e-6
        (x, y), _ = cv2.phaseCorrelate(
            np.clip(first, -bound, bound), np.clip(second, -bound, bound), self._window
        )
        if max(abs(x), abs(y)) > _FARTHEST_SHARE * before.shape[1] or np.hypot(x, y) < _STILL_PX:
            return None
        return (x, y) if self._agree(shifted(first, x, y), second) else None

    @staticmethod
    def _agree(first: FloatImage, second: FloatImage) -> bool:
        """Return whether most of the blocks with detail correlate."""
        products = (first * first, second * second, first * second)
        a, b, c = (
            cv2.resize(product, None, fx=1 / _BLOCK, fy=1 / _BLOCK, interpolation=cv2.INTER_AREA)
            for product in products
        )
        voters = a > _LEAST_DETAIL
        if np.count_nonzero(voters) < _FEWEST_BLOCKS:
            return False
        correlation = c[voters] / np.sqrt(a[voters] * b[voters] + 1e-12)
        return bool((correlation > _BLOCK_AGREES).mean() >= _SHARE)


def thermal_change(before: FloatImage, now: FloatImage) -> FloatImage:
    """Return the absolute difference of two thermal images of a place, in [0, 1].

    The camera's gain control moves the whole picture: a line through the quartiles of both is
    taken out first.
    """
    x, y = (np.percentile(image[::4, ::4], (25, 50, 75)) for image in (before, now))
    gain = np.clip((y[2] - y[0] + 0.02) / (x[2] - x[0] + 0.02), 0.5, 2.0)
    fitted = (before - x[1]) * gain + y[1]
    result: FloatImage = cv2.GaussianBlur(np.abs(now - fitted).astype(np.float32), (0, 0), 1.5)
    return result


def detail_lost(before: FloatImage, now: FloatImage) -> Mask:
    """Return where the remembered thermal image has detail that the present one does not show."""
    first, second = detail_layer(before), detail_layer(now)
    energy = average(first * first)
    slope = average(first * second) / np.maximum(energy, _SURE_DETAIL)
    result: Mask = (energy > _SURE_DETAIL) & (slope < _LOST)
    return result


def shifted(image: NDArray[Any], x: float, y: float, border: float | None = None) -> NDArray[Any]:
    """Return the image moved by (x, y) pixels; what comes in repeats the border, or is a value."""
    matrix = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    size = image.shape[1], image.shape[0]
    mode = cv2.BORDER_REPLICATE if border is None else cv2.BORDER_CONSTANT
    return cv2.warpAffine(image, matrix, size, borderMode=mode, borderValue=border or 0.0)
