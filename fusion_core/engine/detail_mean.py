"""The running mean of what a still camera sees behind drifting smoke."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from fusion_core.engine.stillness import CELL, cells, still
from fusion_core.types import FloatImage, UInt8Image

# Frames that the mean goes back: two thirds of a second of a camera with 30 frames per second.
_FRAMES: Final = 20
_BLUR: Final = (5, 5)  # cells around a place whose mean is its brightness
# Deviation of detail, of 255, up to which it counts as faint, and the most that it is raised by:
# that undoes a transmission of a quarter.
_FAINT, _MOST = 24.0, 4.0
# Deviation of what a mean of twenty frames still has of noise and of a codec's blocks.
_NOISE: Final = 0.5
_AROUND: Final = (9, 9)  # cells in which it is measured


class DetailMean:
    """Averages and raises the detail of the last frames where nothing moves.

    Smoke that drifts changes a place's brightness from frame to frame, and hides its detail more in
    one frame than in another. The brightness stays that of the newest frame; the detail, which is
    what differs from the brightness around, becomes the mean of about twenty frames, with less of
    the noise that faint detail drowns in. Where something moves the mean starts anew.

    A veil takes the same share of all contrast (Koschmieder's law), so that what is faint behind it
    is raised, the more the longer it was gathered, until it deviates by ``_FAINT`` or is four times
    what it was. What is there in the newest frame alone is not raised.
    """

    def __init__(self) -> None:
        self._detail: FloatImage | None = None
        self._heat: FloatImage | None = None
        self._age: FloatImage | None = None

    def forget(self) -> None:
        """Start anew: the camera has moved, or the smoke has gone."""
        self._detail, self._heat, self._age = None, None, None

    def step(self, visible: UInt8Image, heat: FloatImage) -> UInt8Image:
        """Return the picture with the mean's detail, raised, ``HxWx3``.

        Args:
            visible: The next frame, ``HxWx3`` RGB, of the same size as those before.
            heat: Thermal means of its cells; see :mod:`fusion_core.engine.stillness`.
        """
        bright = _brightness(visible)
        detail = np.asarray(cv2.subtract(visible, bright, dtype=cv2.CV_32F), np.float32)
        if self._detail is None or self._heat is None or self._age is None:
            self._detail, self._heat, self._age = detail, heat, np.ones_like(heat)
            return visible
        usual = np.asarray(cv2.add(self._detail, bright, dtype=cv2.CV_8U), np.uint8)
        same = still(visible, usual, heat, [self._heat])
        self._age = np.minimum(1 + same * self._age, np.float32(_FRAMES))
        kept = np.asarray(1 - 1 / self._age, np.float32)
        self._heat = heat + kept * (self._heat - heat)
        full = _grown(kept, visible)
        self._detail = np.asarray(cv2.blendLinear(self._detail, detail, full, 1 - full), np.float32)
        raised = self._detail * _grown(self._raise(self._detail), visible)[..., None]
        return np.asarray(cv2.add(raised, bright, dtype=cv2.CV_8U), np.uint8)

    def _raise(self, detail: FloatImage) -> FloatImage:
        """Return by what detail is raised in each cell, from 1 to ``_MOST``."""
        assert self._age is not None, "there is a mean"
        green = np.asarray(cv2.extractChannel(detail, 1), np.float32)
        variance = cv2.blur(cells(np.square(green)), _AROUND)
        heard = variance / (variance + np.float32(_NOISE**2))
        wanted = np.clip(_FAINT / np.sqrt(variance + np.float32(_NOISE**2)), 1, _MOST)
        gathered = (self._age - 1) / np.float32(_FRAMES - 1)
        return np.asarray(1 + (wanted - 1) * heard * gathered, np.float32)


def _grown(plane: FloatImage, visible: UInt8Image) -> FloatImage:
    """Return a plane of cells on the grid of a picture."""
    size = visible.shape[1::-1]
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _brightness(visible: UInt8Image) -> FloatImage:
    """Return the smooth part of a picture, ``HxWx3`` float32."""
    height, width = visible.shape[:2]
    size = max(1, width // CELL), max(1, height // CELL)
    small = cv2.resize(visible, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    smooth = cv2.resize(cv2.blur(small, _BLUR), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(smooth, np.float32)
