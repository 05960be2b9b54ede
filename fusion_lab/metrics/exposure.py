"""MEF-SSIM as its authors defined it first: the best structure that several exposures offer."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from fusion_core.types import UInt8Image
from fusion_lab.metrics.images import FloatArray

_SIDE: Final = 11
_C: Final = (0.03 * 255.0) ** 2
_EPS: Final = float(np.finfo(np.float64).eps)


def mef_ssim_structure(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return MEF-SSIM of Ma, Zeng, Wang 2015: contrast and structure, one scale, no luminance.

    In each 11x11 patch the wanted contrast is that of the stronger source, and the wanted structure
    their mean-free patches, weighted by strength to the power tan(pi R / 2), at most 10, where R
    says how consistent they are. The fused patch is compared with it by SSIM without luminance,
    Gaussian 11x11 sigma 1.5, K .03, L 255. nan for images smaller than the window.
    """
    if min(fused.shape) < _SIDE:
        return float("nan")
    x, ya, yb = (image.astype(np.float64) for image in (fused, a, b))
    var_a, var_b, cov = _variance(ya), _variance(yb), _covariance(ya, yb)
    norm_a, norm_b = (_SIDE * np.sqrt(np.maximum(v, 0)) for v in (var_a, var_b))
    strength_a, strength_b = norm_a + 1e-3, norm_b + 1e-3
    both = _SIDE * np.sqrt(np.maximum(var_a + var_b + 2 * cov, 0))
    agreement = np.clip((both + _EPS) / (norm_a + norm_b + _EPS), _EPS, 1 - _EPS)
    power = np.clip(np.tan(np.pi / 2 * agreement), 0, 10)
    weight_a, weight_b = ((s / _SIDE) ** power + _EPS for s in (strength_a, strength_b))
    total = weight_a + weight_b
    part_a, part_b = weight_a / total / strength_a, weight_b / total / strength_b
    square = part_a**2 * var_a + part_b**2 * var_b + 2 * part_a * part_b * cov
    length = _SIDE * np.sqrt(np.maximum(square, 0))
    scale = np.where(length > 0, np.maximum(strength_a, strength_b) / np.maximum(length, _EPS), 0)
    part_a, part_b = scale * part_a, scale * part_b
    wanted = (
        part_a**2 * _weighted(ya, ya) + part_b**2 * _weighted(yb, yb)
        + 2 * part_a * part_b * _weighted(ya, yb)
    )  # fmt: skip
    shared = part_a * _weighted(ya, x) + part_b * _weighted(yb, x)
    return float(np.mean((2 * shared + _C) / (wanted + _weighted(x, x) + _C)))


def _box(image: FloatArray) -> FloatArray:
    half = _SIDE // 2
    return np.asarray(cv2.blur(image, (_SIDE, _SIDE))[half:-half, half:-half])


def _covariance(x: FloatArray, y: FloatArray) -> FloatArray:
    return _box(x * y) - _box(x) * _box(y)


def _variance(x: FloatArray) -> FloatArray:
    return _covariance(x, x)


def _weighted(x: FloatArray, y: FloatArray) -> FloatArray:
    """Return the covariance under a Gaussian window."""
    return _gauss(x * y) - _gauss(x) * _gauss(y)


def _gauss(image: FloatArray) -> FloatArray:
    half = _SIDE // 2
    kernel = cv2.getGaussianKernel(_SIDE, 1.5, cv2.CV_64F)
    filtered = cv2.sepFilter2D(image, cv2.CV_64F, kernel, kernel)
    return np.asarray(filtered[half:-half, half:-half])
