"""Images and descriptors at the scales at which they are compared."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from fusion_core.registration.descriptors import DescriptorMaps, compute_descriptors
from fusion_core.registration.rig import Size
from fusion_core.types import FloatImage, Mask

SMALLEST: Final = 48
"""Least width and height in pixels of images that can be registered."""
_WORK_WIDTH: Final = 640


def work_factor(size: Size) -> int:
    """Return the whole factor by which larger images are reduced before registration."""
    return max(1, round(size[0] / _WORK_WIDTH))


def reduced_size(size: Size, factor: int) -> Size:
    """Return the size after reduction; up to ``factor - 1`` pixels are cut at right and bottom."""
    return size[0] // factor, size[1] // factor


def downscale(image: FloatImage, factor: int) -> FloatImage:
    """Average squares of ``factor`` pixels."""
    if factor == 1:
        return image
    width, height = reduced_size((image.shape[1], image.shape[0]), factor)
    whole = image[: height * factor, : width * factor]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def descriptors_at_scale(image: FloatImage, valid: Mask, factor: int) -> DescriptorMaps:
    """Return the descriptors of the reduced image."""
    seen = downscale(valid.astype(np.float32), factor) > 0.99
    return compute_descriptors(downscale(image, factor), seen)


def average_descriptors(maps: DescriptorMaps, factor: int) -> DescriptorMaps:
    """Return descriptors averaged over squares of ``factor`` pixels.

    Unlike the descriptors of a reduced image they keep information about fine detail.
    """
    if factor == 1:
        return maps
    channels = np.stack([downscale(channel, factor) for channel in maps.channels])
    energy = np.einsum("chw,chw->hw", channels, channels)
    return DescriptorMaps(channels, energy, downscale(maps.valid, factor))
