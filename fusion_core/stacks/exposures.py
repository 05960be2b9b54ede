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
_WEIGHTS: Final = np.exp(-(((_LEVELS / 255) - 0.5) ** 2) / 0.08)


def best_exposed(pictures: Sequence[UInt8Image]) -> int:
    """Return the number of the picture with most of its pixels near middle gray."""
    return int(np.argmax([exposedness(picture) for picture in pictures]))


def exposedness(picture: UInt8Image) -> float:
    """Return how near the pixels are to middle gray, in [0, 1].

    The weight is that of exposure fusion (Mertens et al. 2007): exp(-(y - 0.5)^2 / 0.08).
    """
    luma = cv2.cvtColor(picture[::2, ::2], cv2.COLOR_RGB2GRAY)
    return float(_WEIGHTS[luma].mean())


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


def outside_curve(source: FloatImage, other: FloatImage, curve: Curve, noise: float) -> FloatImage:
    """Return by how many levels ``other`` lies outside of what ``source`` lets expect.

    What is expected is anything between the darkest and the brightest neighbour of a pixel, as the
    pictures may be two pixels apart. A clipped level stands for all that is beyond it.

    Args:
        source: ``HxW`` luma in 0..255.
        other: The same.
        curve: From the levels of ``source`` to those of ``other``.
        noise: Levels by which ``source`` may be wrong.
    """
    lowest, highest = curve.copy(), curve.copy()
    lowest[: _BLACK + 1], highest[_WHITE:] = 0, 255
    around = np.ones((5, 5), np.uint8)
    low = lowest[np.clip(cv2.erode(source, around) - noise, 0, 255).astype(np.uint8)]
    above = np.ceil(cv2.dilate(source, around) + noise)
    high = highest[np.clip(above, 0, 255).astype(np.uint8)]
    return np.asarray(np.maximum(low - other, other - high), np.float32)
