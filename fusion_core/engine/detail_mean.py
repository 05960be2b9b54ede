"""The running mean of what a still camera sees behind drifting smoke."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from fusion_core.engine.stillness import CELL, still
from fusion_core.types import FloatImage, UInt8Image

# Frames that the mean goes back: two thirds of a second of a camera with 30 frames per second.
_FRAMES: Final = 20
_BLUR: Final = (5, 5)  # cells around a place whose mean is its brightness


class DetailMean:
    """Averages the detail of the last frames where nothing moves.

    Smoke that drifts changes a place's brightness from frame to frame, and hides its detail more in
    one frame than in another. The brightness stays that of the newest frame; the detail, which is
    what differs from the brightness around, becomes the mean of about twenty frames, with less of
    the noise that faint detail drowns in. Where something moves the mean starts anew.
    """

    def __init__(self) -> None:
        self._detail: FloatImage | None = None
        self._heat: FloatImage | None = None
        self._count = 0

    def forget(self) -> None:
        """Start anew: the camera has moved, or the smoke has gone."""
        self._detail, self._heat, self._count = None, None, 0

    def step(self, visible: UInt8Image, heat: FloatImage) -> UInt8Image:
        """Return the picture with the mean's detail, ``HxWx3``.

        Args:
            visible: The next frame, ``HxWx3`` RGB, of the same size as those before.
            heat: Thermal means of its cells; see :mod:`fusion_core.engine.stillness`.
        """
        bright = _brightness(visible)
        detail = np.asarray(cv2.subtract(visible, bright, dtype=cv2.CV_32F), np.float32)
        self._count = min(self._count + 1, _FRAMES)
        if self._detail is None or self._heat is None:
            self._detail, self._heat = detail, heat
            return visible
        usual = np.asarray(cv2.add(self._detail, bright, dtype=cv2.CV_8U), np.uint8)
        kept = (1 - np.float32(1 / self._count)) * still(visible, usual, heat, [self._heat])
        self._heat = heat + kept * (self._heat - heat)
        full = cv2.resize(kept, visible.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        self._detail = np.asarray(cv2.blendLinear(self._detail, detail, full, 1 - full), np.float32)
        return np.asarray(cv2.add(self._detail, bright, dtype=cv2.CV_8U), np.uint8)


def _brightness(visible: UInt8Image) -> FloatImage:
    """Return the smooth part of a picture, ``HxWx3`` float32."""
    height, width = visible.shape[:2]
    size = max(1, width // CELL), max(1, height // CELL)
    small = cv2.resize(visible, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    smooth = cv2.resize(cv2.blur(small, _BLUR), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(smooth, np.float32)
