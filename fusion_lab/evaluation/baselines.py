"""Classical fusion rules, for orientation beside the learned models.

They take two ``HxW`` uint8 gray images and return ``HxW`` uint8, unless they say otherwise.
"""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np

from fusion_core.types import FloatImage, UInt8Image
from fusion_lab.metrics.images import FloatArray

Plane = TypeVar("Plane", FloatArray, FloatImage)


def fuse_max(thermal: UInt8Image, visible: UInt8Image) -> UInt8Image:
    """Return the brighter source at each pixel."""
    return np.maximum(thermal, visible)


def fuse_mean(thermal: UInt8Image, visible: UInt8Image) -> UInt8Image:
    """Return the rounded mean of both sources."""
    return _to_uint8((thermal.astype(np.float64) + visible) / 2.0)


def fuse_laplacian(thermal: UInt8Image, visible: UInt8Image) -> UInt8Image:
    """Fuse Laplacian pyramids: the stronger detail wins, bases are averaged (Burt, Adelson 1983).

    Four levels of detail, fewer for images whose shorter side is below 32 pixels.
    """
    levels = min(4, max(0, min(thermal.shape).bit_length() - 2))
    t, v = (_laplacian_pyramid(i.astype(np.float64), levels) for i in (thermal, visible))
    fused = 0.5 * (t[-1] + v[-1])
    for a, b in zip(t[-2::-1], v[-2::-1], strict=True):
        fused = _expand(fused, a.shape) + np.where(np.abs(a) >= np.abs(b), a, b)
    return _to_uint8(fused)


def fuse_exposures(first: UInt8Image, second: UInt8Image) -> UInt8Image:
    """Fuse two exposures, ``HxWx3`` RGB, by OpenCV's exposure fusion (Mertens et al. 2007)."""
    fused = cv2.createMergeMertens().process([first, second])
    return _to_uint8(np.asarray(fused, np.float64) * 255.0)


def fuse_sharper(first: UInt8Image, second: UInt8Image) -> UInt8Image:
    """Take from two focus settings, ``HxWx3`` RGB, the pixel with more detail around it.

    Detail is the squared Laplacian of the luma, summed by a Gaussian of 5 pixels.
    """
    energies = []
    for picture in (first, second):
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        energies.append(cv2.GaussianBlur(cv2.Laplacian(gray, cv2.CV_32F) ** 2, (0, 0), 5.0))
    return np.where((energies[0] >= energies[1])[..., None], first, second)


def fuse_guided(thermal: UInt8Image, visible: UInt8Image) -> UInt8Image:
    """Fuse with guided-filter weights (Li, Kang, Hu 2013, r1 45, eps1 .3, r2 7, eps2 1e-6)."""
    sources = [thermal / 255.0, visible / 255.0]
    saliency = [_saliency(source) for source in sources]
    chosen = (saliency[0] >= saliency[1]).astype(np.float64)
    bases = [_box_mean(source, 15) for source in sources]
    details = [source - base for source, base in zip(sources, bases, strict=True)]
    base = _blend(sources, bases, chosen, radius=45, eps=0.3)
    detail = _blend(sources, details, chosen, radius=7, eps=1e-6)
    return _to_uint8(255.0 * (base + detail))


def guided_filter(guide: Plane, values: Plane, radius: int, eps: float) -> Plane:
    """Return the guided filter of He, Sun, Tang 2010 for a gray guide.

    Args:
        guide: ``HxW``.
        values: ``HxW`` of the same type.
        radius: Of the window.
        eps: Variance of the guide below which it counts as flat.
    """
    side = (2 * radius + 1, 2 * radius + 1)
    mean_guide, mean_values = cv2.blur(guide, side), cv2.blur(values, side)
    covariance = cv2.blur(guide * values, side) - mean_guide * mean_values
    slope = covariance / (cv2.blur(guide * guide, side) - mean_guide**2 + eps)
    offset = cv2.blur(mean_values - slope * mean_guide, side)
    return np.asarray(cv2.blur(slope, side) * guide + offset, guide.dtype)


def _to_uint8(image: FloatArray) -> UInt8Image:
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def _expand(image: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    larger = cv2.pyrUp(image, dstsize=(shape[1], shape[0]))
    return np.asarray(larger, dtype=np.float64)


def _laplacian_pyramid(image: FloatArray, levels: int) -> list[FloatArray]:
    pyramid: list[FloatArray] = []
    for _ in range(levels):
        smaller = np.asarray(cv2.pyrDown(image), dtype=np.float64)
        pyramid.append(image - _expand(smaller, image.shape))
        image = smaller
    return [*pyramid, image]


def _saliency(image: FloatArray) -> FloatArray:
    strength = np.abs(cv2.Laplacian(image, cv2.CV_64F))
    return np.asarray(cv2.GaussianBlur(strength, (11, 11), 5.0))


def _blend(
    guides: list[FloatArray], parts: list[FloatArray], chosen: FloatArray, radius: int, eps: float
) -> FloatArray:
    weights = [
        np.clip(guided_filter(guide, mask, radius, eps), 0.0, 1.0)
        for guide, mask in zip(guides, (chosen, 1.0 - chosen), strict=True)
    ]
    total = np.maximum(weights[0] + weights[1], 1e-12)
    return np.asarray((weights[0] * parts[0] + weights[1] * parts[1]) / total)


def _box_mean(image: FloatArray, radius: int) -> FloatArray:
    side = 2 * radius + 1
    return np.asarray(cv2.blur(image, (side, side)), dtype=np.float64)
