"""How the levels of two exposures of one scene belong together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import FloatImage, Mask, UInt8Image

Curve = NDArray[np.float32]
"""256 values: what a level of one picture is in the other."""

_BLACK: Final = 8
_WHITE: Final = 247
_LEVELS: Final = np.arange(256)


def best_exposed(pictures: Sequence[UInt8Image]) -> int:
    """Return the number of the picture with most of its pixels near middle gray.

    Their weight is that of exposure fusion (Mertens et al. 2007): exp(-(y - 0.5)^2 / 0.08).
    """
    weights = np.exp(-(((_LEVELS / 255) - 0.5) ** 2) / 0.08)
    lumas = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
    return int(np.argmax([float(weights[luma].mean()) for luma in lumas]))


def level_curve(source: UInt8Image, other: UInt8Image, used: Mask) -> Curve:
    """Return the monotone curve that gives ``source`` the histogram of ``other``.

    Histograms, unlike pairs of pixels, hardly change where something moves.

    Args:
        source: ``HxW`` uint8.
        other: ``HxW`` uint8.
        used: ``HxW``, pixels to compare.
    """
    ours = np.bincount(source[used], minlength=256).astype(np.float64)
    theirs = np.bincount(other[used], minlength=256).astype(np.float64)
    # The middle of a level's mass stands for it.
    middle = np.cumsum(ours) - ours / 2
    places = np.cumsum(theirs) - theirs / 2
    present = theirs > 0
    return np.asarray(np.interp(middle, places[present], _LEVELS[present]), np.float32)


def in_exposure_of(source: UInt8Image, other: UInt8Image, used: Mask) -> UInt8Image:
    """Return a picture as it would be in another's exposure, ``HxWx3`` uint8 RGB."""
    channels = []
    for index in range(3):
        curve = level_curve(source[..., index], other[..., index], used)
        channels.append(np.rint(curve).astype(np.uint8)[source[..., index]])
    return np.dstack(channels)


def outside_curve(
    source: FloatImage, other: FloatImage, curve: Curve, slack: FloatImage
) -> FloatImage:
    """Return by how many levels ``other`` lies outside of what ``source`` lets expect.

    A clipped level stands for all that is beyond it.

    Args:
        source: ``HxW`` luma in 0..255.
        other: The same.
        curve: From the levels of ``source`` to those of ``other``.
        slack: ``HxW`` levels by which ``source`` may be wrong.
    """
    rising = np.maximum.accumulate(curve)
    low = np.interp(source - slack, _LEVELS, rising)
    high = np.interp(source + slack, _LEVELS, rising)
    low = np.where(source - slack <= _BLACK, 0, low)
    high = np.where(source + slack >= _WHITE, 255, high)
    return np.asarray(np.maximum(low - other, other - high), np.float32)
