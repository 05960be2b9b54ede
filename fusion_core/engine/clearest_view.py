"""What a still camera has seen behind drifting smoke in the last seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from fusion_core.engine.stillness import CELL, cells, green_cells, still
from fusion_core.types import FloatImage, UInt8Image

# Seconds after which a view counts by a factor of e less.
_LASTS_S: Final = 3.0
# Power of the contrast that a view counts by.
_POWER: Final = 6
_BLUR: Final = (5, 5)  # cells around a place whose mean is its brightness
_AROUND: Final = (9, 9)  # cells in which contrast is measured
# Deviation of a single frame's noise, of 255, and what a mean of views still has of it.
_NOISE, _NOISE_LEFT = 1.5, 0.5
# Deviation of detail, of 255, up to which it counts as faint, and the most that it is raised by:
# that undoes a transmission of a quarter. It is raised fully once so many frames were gathered.
_FAINT, _MOST, _GATHERED = 24.0, 4.0, 20.0
# Contrast, of that of the views, from which a place counts as hidden now, and as hidden fully.
_SEEN, _HIDDEN = 1.0, 0.8
# What a veil adds to brightness: the time constant in seconds and the deviation in cells of the
# mean that is taken of it, and the share of known places that counts as few.
_VEIL_S, _VEIL_CELLS, _VEIL_FEW = 0.5, 10.0, 0.05
# Seconds for which something else may stand before a place until its views are given up.
_PATIENCE_S: Final = 10.0
# Cells around a moving one, and their share that moves, from which a place shows nothing to learn:
# a jacket may be as cold as the wall behind it.
_BESIDE, _FEW = (15, 15), 0.1


@dataclass(frozen=True, slots=True)
class _View:
    """What a frame, or the mean of several, shows.

    Attributes:
        detail: ``HxWx3``, what differs from the brightness around.
        bright: ``hxwx3``, brightness of the cells.
        contrast: ``hxw``, deviation of the detail around a cell.
        heat: ``hxw``, thermal means of the cells.
    """

    detail: FloatImage
    bright: FloatImage
    contrast: FloatImage
    heat: FloatImage


class ClearestView:
    """Shows places behind drifting smoke as the clearest of the last seconds' views showed them.

    A veil of transmission t takes the same share 1 - t of all contrast, and brings as much of its
    own brightness (Koschmieder's law): contrast tells which of two views of a place is the clearer.
    A place becomes the mean of its views, each weighted by a power of its contrast and fading with
    a time constant of ``_LASTS_S``: detail everywhere, with less of the noise that faint detail
    drowns in, and brightness where contrast is now less than it was. Detail that is still faint is
    raised, the more the longer it was gathered, until it deviates by ``_FAINT`` or is four times
    what it was.

    Veils are smooth and last: what they add to brightness is a mean around each place and over the
    last half second, so that neither their own edges nor those of what passes show or flicker.

    Where something moves the detail of the newest frame stays, neither raised nor remembered, and
    gets as much brighter or darker as the places around, in proportion where it is darker than
    they are; what was seen there before comes back when it has gone within ``_PATIENCE_S``.
    """

    def __init__(self) -> None:
        self._usual: _View | None = None
        self._weight = self._away_s = self._veil = np.zeros((1, 1), np.float32)

    def forget(self) -> None:
        """Start anew: the camera has moved, or the smoke has gone."""
        self._usual = None

    def step(self, visible: UInt8Image, heat: FloatImage, seconds: float) -> UInt8Image:
        """Return the picture with the views' detail and brightness, ``HxWx3``.

        Args:
            visible: The next frame, ``HxWx3`` RGB, of the same size as those before.
            heat: Thermal means of its cells; see :mod:`fusion_core.engine.stillness`.
            seconds: Since the frame before.
        """
        bright = _brightness(visible)
        blurred = _grown(bright, visible)
        detail = np.asarray(cv2.subtract(visible, blurred, dtype=cv2.CV_32F), np.float32)
        now = _View(detail, bright, _contrast(detail), heat)
        if self._usual is None:
            self._usual, self._weight = now, now.contrast**_POWER
            self._away_s = np.zeros_like(heat)
            self._veil = np.zeros((*heat.shape, 4), np.float32)
            return visible
        left = np.minimum(now.contrast / self._usual.contrast, 1)
        seen, behind = green_cells(visible), green_cells(self._usual.detail)
        # A veil leaves anything from none to all of a place's detail.
        veiled = np.clip(seen - bright[..., 1], np.minimum(behind, 0), np.maximum(behind, 0))
        same = still(seen, bright[..., 1] + veiled, heat, [self._usual.heat])
        usual = self._usual = self._learnt(now, self._usual, same, seconds)
        mixed = _blend(detail, usual.detail, same)
        raised = cv2.merge([1 + same * (self._raise(usual) - 1)] * 3)
        cv2.multiply(mixed, _grown(np.asarray(raised, np.float32), visible), dst=mixed)
        hidden = np.clip((_SEEN - left) / (_SEEN - _HIDDEN), 0, 1)
        veil = self._veiled(hidden[..., None] * (bright - usual.bright), same, seconds)
        # A veil leaves nothing darker than black.
        expected = np.maximum(usual.bright + veil, 1)
        shown = _grown(bright - veil * np.minimum(bright / expected, 1), visible)
        return np.asarray(cv2.add(mixed, shown, dtype=cv2.CV_8U), np.uint8)

    def _learnt(self, now: _View, usual: _View, same: FloatImage, seconds: float) -> _View:
        """Return the mean with a view where nothing moved; anew where something came to stay."""
        away_s = np.where(same < 0.5, self._away_s + np.float32(seconds), 0)
        anew = away_s > _PATIENCE_S
        self._away_s = np.where(anew, 0, away_s)
        quiet = np.clip(1 - cv2.blur(1 - same, _BESIDE) / _FEW, 0, 1)
        fresh = np.where(anew, 1, same * quiet) * now.contrast**_POWER
        self._weight = fresh + ~anew * np.float32(np.exp(-seconds / _LASTS_S)) * self._weight
        share = np.asarray(fresh / np.maximum(self._weight, 1e-30), np.float32)
        return _View(
            _blend(usual.detail, now.detail, share),
            usual.bright + share[..., None] * (now.bright - usual.bright),
            usual.contrast + share * (now.contrast - usual.contrast),
            usual.heat + share * (now.heat - usual.heat),
        )

    def _veiled(self, added: FloatImage, same: FloatImage, seconds: float) -> FloatImage:
        """Return what the veil adds to the brightness of each cell, ``hxwx3``.

        Args:
            added: What it seems to add now, ``hxwx3``, true where nothing moves.
            same: 1 where nothing moves, ``hxw``.
            seconds: Since the frame before.
        """
        known = cv2.merge([*cv2.split(added * same[..., None]), same])
        self._veil += np.float32(1 - np.exp(-seconds / _VEIL_S)) * (known - self._veil)
        mean = _smooth(self._veil)
        few = np.float32(_VEIL_FEW)
        return np.asarray(mean[..., :3] * (1 + few) / (mean[..., 3:] + few), np.float32)

    def _raise(self, usual: _View) -> FloatImage:
        """Return by what detail is raised in each cell, from 1 to ``_MOST``."""
        variance = _variance(usual.detail)
        noise = np.float32(_NOISE_LEFT**2)
        heard = variance / (variance + noise)
        wanted = np.clip(_FAINT / np.sqrt(variance + noise), 1, _MOST)
        gathered = np.clip(self._weight / usual.contrast**_POWER / _GATHERED, 0, 1)
        return np.asarray(1 + (wanted - 1) * heard * gathered, np.float32)


def _smooth(plane: FloatImage) -> FloatImage:
    """Return the Gaussian mean around each cell, found at half resolution."""
    height, width = plane.shape[:2]
    half = max(1, width // 2), max(1, height // 2)
    small = cv2.resize(plane, half, interpolation=cv2.INTER_AREA)
    mean = cv2.GaussianBlur(small, (0, 0), _VEIL_CELLS / 2, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(mean, (width, height)), np.float32)


def _variance(detail: FloatImage) -> FloatImage:
    """Return the variance of detail around each cell."""
    green = np.asarray(cv2.extractChannel(detail, 1), np.float32)
    return np.asarray(cv2.blur(cells(np.square(green)), _AROUND), np.float32)


def _contrast(detail: FloatImage) -> FloatImage:
    """Return the deviation of a frame's detail around each cell, without what noise makes of it."""
    variance = _variance(detail)
    return np.asarray(variance / np.sqrt(variance + np.float32(_NOISE**2)) + 1e-2, np.float32)


def _blend(first: FloatImage, second: FloatImage, share: FloatImage) -> FloatImage:
    """Return two ``HxWx3`` pictures mixed by the second's share in each cell."""
    full = _grown(share, first)
    return np.asarray(cv2.blendLinear(first, second, 1 - full, full), np.float32)


def _grown(plane: FloatImage, like: FloatImage | UInt8Image) -> FloatImage:
    """Return a plane of cells on the grid of a picture."""
    size = like.shape[1::-1]
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR), np.float32)


def _brightness(visible: UInt8Image) -> FloatImage:
    """Return the smooth part of a picture by cells, ``hxwx3`` float32."""
    height, width = visible.shape[:2]
    size = max(1, width // CELL), max(1, height // CELL)
    small = cv2.resize(visible, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(cv2.blur(small, _BLUR), np.float32)
