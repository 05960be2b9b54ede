"""Pictures at the scales at which they are compared."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from fusion_core.registration.features import Features, describe
from fusion_core.registration.rig import Size
from fusion_core.types import FloatImage, Mask

SMALLEST: Final = 48
"""Pixels a side that a picture needs to be compared with another one."""
_WORK_WIDTH: Final = 640


def work_factor(size: Size) -> int:
    """Return the whole number by which larger pictures are reduced before anything else."""
    return max(1, round(size[0] / _WORK_WIDTH))


def reduced_size(size: Size, factor: int) -> Size:
    """Return the size after reduction; up to ``factor - 1`` pixels at the right and bottom go."""
    return size[0] // factor, size[1] // factor


def reduced(image: FloatImage, factor: int) -> FloatImage:
    """Average squares of ``factor`` pixels."""
    if factor == 1:
        return image
    width, height = reduced_size((image.shape[1], image.shape[0]), factor)
    whole = image[: height * factor, : width * factor]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def describe_at(image: FloatImage, valid: Mask, factor: int) -> Features:
    """Return the descriptors of the reduced picture."""
    seen = reduced(valid.astype(np.float32), factor) > 0.99
    return describe(reduced(image, factor), seen)


def averaged(features: Features, factor: int) -> Features:
    """Return descriptors averaged over squares of ``factor`` pixels.

    Unlike those of a reduced picture they still know its fine detail.
    """
    if factor == 1:
        return features
    channels = np.stack([reduced(channel, factor) for channel in features.channels])
    energy = np.einsum("chw,chw->hw", channels, channels)
    return Features(channels, energy, reduced(features.valid, factor))
