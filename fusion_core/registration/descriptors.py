"""Dense descriptors of what a visible and a thermal image share: edges and their orientations.

The descriptor follows the channel features of orientated gradients (CFOG; Ye, Bruzzone, Shan,
Bovolo, Zhu, "Fast and Robust Matching for Multimodal Remote Sensing Image Registration", IEEE TGRS
2019): gradient magnitudes binned by orientation modulo 180 degrees, so that the contrast's sign
does not matter. Here the magnitude is normalised by its local level and the local mean is
subtracted: a hot object among weak edges, or fog over half of the image, then has the same weight
as the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from fusion_core.types import FloatImage, Mask

_ORIENTATIONS = 8
_SMOOTHING = 1.0  # of the image and of the channels, in pixels
_LOCAL_SIGMA = 12.0  # standard deviation of the window of local means, in pixels
_FLAT = 2.0  # gradients below this are noise, in gray levels of 255 per pixel
_EDGE_PX = 4  # reach of a gradient over the border of the valid area, in pixels


@dataclass(frozen=True, eq=False)
class DescriptorMaps:
    """Descriptors of an image.

    Attributes:
        channels: ``CxHxW`` float32, 0 where not valid.
        energy: ``HxW`` float32, sum of squares over the channels.
        valid: ``HxW`` float32 in [0, 1], 1 where the image is valid, fractions on the border.
    """

    channels: FloatImage
    energy: FloatImage
    valid: FloatImage


def compute_descriptors(
    image: FloatImage, valid: Mask | FloatImage, grid: int = 1
) -> DescriptorMaps:
    """Return the descriptors of a single-channel image in gray levels of 0 to 255.

    Args:
        image: ``HxW`` float32.
        valid: ``HxW``, valid pixels: a mask, or fractions in [0, 1].
        grid: Spacing in pixels of the grid on which local means are computed: 1 is exact, 4 takes
            a third of the time.
    """
    smooth = cv2.GaussianBlur(image, (0, 0), _SMOOTHING)
    dx = cv2.Scharr(smooth, cv2.CV_32F, 1, 0, scale=1 / 32)
    dy = cv2.Scharr(smooth, cv2.CV_32F, 0, 1, scale=1 / 32)
    kernel = np.ones((2 * _EDGE_PX + 1,) * 2, np.uint8)
    inside = np.asarray(cv2.erode(valid.astype(np.float32), kernel), np.float32)
    square = (dx * dx + dy * dy) * inside
    share = _local_mean(inside, grid) + 1e-3
    level = np.sqrt(_local_mean(square, grid) / share) + _FLAT
    # magnitude * cos^4 of the angle to each orientation, without trigonometric functions per pixel
    scale = 1 / (np.power(square, 1.5) + 1e-12) / level
    channels = np.empty((_ORIENTATIONS, *image.shape), np.float32)
    for index in range(_ORIENTATIONS):
        angle = np.pi * index / _ORIENTATIONS
        along = (dx * np.float32(np.cos(angle)) + dy * np.float32(np.sin(angle))) * inside
        along *= along
        channel = cv2.GaussianBlur(along * along * scale, (0, 0), _SMOOTHING)
        mean = _local_mean(channel, grid) / share
        channels[index] = (channel - mean) * inside
    return DescriptorMaps(channels, np.einsum("chw,chw->hw", channels, channels), inside)


def _local_mean(image: FloatImage, grid: int) -> FloatImage:
    """Return the Gaussian mean around each pixel."""
    if grid == 1:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), _LOCAL_SIGMA), np.float32)
    height, width = image.shape
    size = max(1, width // grid), max(1, height // grid)
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), _LOCAL_SIGMA / grid)
    return np.asarray(cv2.resize(small, (width, height)), np.float32)
