"""Classical restoration of one visible picture, for cascades beside learned ones."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import UInt8Image
from fusion_lab.evaluation.baselines import guided_filter

_Array = NDArray[np.float32]
_PATCH, _OMEGA, _LEAST_TRANSMISSION = 15, 0.95, 0.1
_BRIGHTEST = 0.001
_RADIUS, _FLAT = 60, 1e-4
_CLIP, _TILES = 2.0, (8, 8)
_MEDIAN = 5


def dehaze(visible: UInt8Image) -> UInt8Image:
    """Remove haze by the dark channel prior (He, Sun, Tang 2009), refined by a guided filter.

    Patch 15, omega .95, least transmission .1, airlight from the haziest .1 % of the pixels; guided
    filter (He, Sun, Tang 2010) with radius 60 and eps 1e-4, as the authors give them.

    Args:
        visible: ``HxWx3`` RGB.
    """
    picture = np.asarray(visible, np.float32) / np.float32(255)
    dark = _darkest(picture)
    count = max(1, int(dark.size * _BRIGHTEST))
    haziest = np.argpartition(dark.ravel(), -count)[-count:]
    mean = picture.reshape(-1, 3)[haziest].mean(axis=0)
    airlight = np.maximum(mean, 1 / 255).astype(np.float32)
    transmission = 1 - _OMEGA * _darkest(picture / airlight)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    smooth = np.maximum(
        guided_filter(np.asarray(grey, np.float32), transmission, _RADIUS, _FLAT),
        _LEAST_TRANSMISSION,
    )
    clear = (picture - airlight) / smooth[..., None] + airlight
    return np.asarray(np.rint(np.clip(clear, 0, 1) * 255), np.uint8)


def equalise(visible: UInt8Image) -> UInt8Image:
    """Raise the local contrast of the luma (CLAHE, limit 2, 8x8 tiles); ``HxWx3`` RGB."""
    planes = np.asarray(cv2.cvtColor(visible, cv2.COLOR_RGB2YCrCb), np.uint8)
    planes[..., 0] = cv2.createCLAHE(_CLIP, _TILES).apply(planes[..., 0])
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YCrCb2RGB), np.uint8)


def remove_specks(visible: UInt8Image) -> UInt8Image:
    """Replace every pixel by the median of the 5x5 around it; ``HxWx3`` RGB."""
    return np.asarray(cv2.medianBlur(visible, _MEDIAN), np.uint8)


def remove_streaks(visible: UInt8Image) -> UInt8Image:
    """Replace every pixel by the median of five in its row; ``HxWx3`` RGB."""
    reach = _MEDIAN // 2
    wide = np.pad(visible, ((0, 0), (reach, reach), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(wide, _MEDIAN, axis=1)
    return np.asarray(np.median(windows, axis=-1), np.uint8)


def _darkest(picture: _Array) -> _Array:
    """Return the dark channel: the least value of all channels in a patch."""
    return np.asarray(cv2.erode(picture.min(axis=2), np.ones((_PATCH, _PATCH))), np.float32)
