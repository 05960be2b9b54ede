"""A made pair, and what both kinds of it share."""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import FloatImage, UInt8Image
from fusion_lab.synthetic.noise import fractal_noise

# Edge of the smaller side for which lengths in pixels are meant.
_REFERENCE: Final = 480
_JPEG_QUALITY: Final = (85, 98)


class MadePair(NamedTuple):
    """Two pictures of one scene and what fusion should make of them, ``HxWx3`` uint8 RGB each.

    Attributes:
        first: Under-exposed, or one focus.
        second: Over-exposed, or the other focus.
        target: The picture that they were made from.
    """

    first: UInt8Image
    second: UInt8Image
    target: UInt8Image


def pixel_scale(shape: tuple[int, ...]) -> float:
    """Return by what lengths in pixels are multiplied for a picture of this size."""
    return max(min(shape[:2]) / _REFERENCE, 0.25)


def to_levels(picture: FloatImage, rng: np.random.Generator, jpeg_share: float) -> UInt8Image:
    """Return the picture as a camera stores it, at times as JPEG.

    Args:
        picture: ``HxWx3`` RGB in [0, 1], may exceed it.
        rng: Draws whether, and the quality (85-98).
        jpeg_share: Share of the pictures that are compressed, in [0, 1].
    """
    levels = np.asarray(np.clip(np.rint(picture * 255), 0, 255), np.uint8)
    if rng.random() >= jpeg_share:
        return levels
    quality = int(rng.integers(*_JPEG_QUALITY, endpoint=True))
    swapped = np.ascontiguousarray(levels[..., ::-1])
    _, packed = cv2.imencode(".jpg", swapped, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded: NDArray[np.uint8] = np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


def region_field(
    picture: UInt8Image, rng: np.random.Generator, cell: float, follow: float
) -> FloatImage:
    """Return a smooth random field whose level lines follow edges of the picture here and there.

    Args:
        picture: ``HxWx3`` uint8 RGB.
        rng: Source of the field.
        cell: Size of its coarsest detail as a share of the smaller side.
        follow: Weight of the picture's own luma; negative: what is dark lies high.

    Returns:
        ``HxW`` float32, about mean 0 and deviation 1.
    """
    height, width = picture.shape[:2]
    noise = fractal_noise(rng, height, width, max(cell * min(height, width), 4.0), 3, gain=0.35)
    gray = cv2.medianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 7).astype(np.float32)
    luma = (gray - gray.mean()) / max(float(gray.std()), 4.0)
    return np.asarray(noise + follow * luma, np.float32)
