"""Temporal smoothing: average out noise and flicker where nothing moves."""

from __future__ import annotations

import cv2
import numpy as np

from fusion_core.types import FloatImage

# Motion is measured on means of 4x4 pixels, whose noise is a quarter of a pixel's.
_CELL = 4
# A mean that changes by ten of 256 gray levels or more is motion, and shown as it is.
_MOTION = 10 / 255
# After a longer gap the previous picture does not count.
_GAP_NS = 500_000_000


class TemporalSmoother:
    """Motion-adaptive recursive filter on the fused luma.

    ``out = previous + w (now - previous)``, with ``w`` rising smoothly from ``1 - keep``, where the
    picture stands still, to 1 where it moves. For white noise on a still picture the variance falls
    to ``(1 - keep) / (1 + keep)`` of itself. The neighbours of what moves count as moving, so
    nothing trails behind an edge.

    Args:
        keep: Share of the previous picture where nothing moves, in [0, 1).
    """

    def __init__(self, keep: float) -> None:
        self._keep = keep
        self._shown: FloatImage | None = None
        self._change = self._share = np.empty((0, 0), np.float32)
        self._stamp_ns = 0

    def smooth(self, luma: FloatImage, stamp_ns: int) -> FloatImage:
        """Return the next picture, ``HxW`` float32; a jump in time or size starts anew.

        Args:
            luma: ``HxW`` float32 in [0, 1].
            stamp_ns: Its capture time.

        Returns:
            The smoother's own memory, which the next picture overwrites.
        """
        shown, gap_ns = self._shown, stamp_ns - self._stamp_ns
        self._stamp_ns = stamp_ns
        if shown is None or shown.shape != luma.shape:
            self._shown = luma.copy()
            self._change, self._share = np.empty_like(luma), np.empty_like(luma)
            return self._shown
        if 0 < gap_ns <= _GAP_NS:
            cv2.subtract(luma, shown, dst=self._change)
            cv2.multiply(self._change, self._weight(self._change), dst=self._change)
            cv2.add(shown, self._change, dst=shown)
        else:
            np.copyto(shown, luma)
        return shown

    def _weight(self, change: FloatImage) -> FloatImage:
        height, width = change.shape
        size = (max(1, width // _CELL), max(1, height // _CELL))
        moved = np.abs(cv2.resize(change, size, interpolation=cv2.INTER_AREA)) / _MOTION
        moved = np.minimum(cv2.dilate(moved, np.ones((3, 3), np.uint8)), 1)
        still = (1 - moved) ** 2 * (1 + 2 * moved)
        weight = (1 - self._keep * still).astype(np.float32)
        return np.asarray(cv2.resize(weight, (width, height), dst=self._share), np.float32)
