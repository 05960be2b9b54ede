"""Structural similarity of the fused image to its sources, in the forms that tables report."""

from __future__ import annotations

import cv2
import numpy as np

from fusion_core.types import UInt8Image
from fusion_lab.metrics.images import FloatArray

_MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_C1 = (0.01 * 255.0) ** 2
_C2 = (0.03 * 255.0) ** 2


def ssim_sum(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return SSIM(F, A) + SSIM(F, B) with the window and range of Wang et al. 2004.

    Gaussian 11x11, sigma 1.5, whole windows only, K1 .01, K2 .03, L 255; at most 2. This is the
    form of the VIFB benchmark. nan for images smaller than the window.
    """
    if min(fused.shape) < 11:
        return float("nan")
    x = fused.astype(np.float64)
    maps = [np.prod(_ssim_maps(x, s.astype(np.float64)), axis=0) for s in (a, b)]
    return float(np.mean(maps[0]) + np.mean(maps[1]))


def ssim_to(fused: UInt8Image, target: UInt8Image) -> float:
    """Return SSIM to one picture, at most 1, with the window and range of ``ssim_sum``."""
    return ssim_sum(fused, target, target) / 2


def ssim_sum_range2(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return SSIM(F, A) + SSIM(F, B), 7x7 uniform window, sample covariance, data range 2.

    What scikit-image's defaults gave for float images on 0..255: the range of 2 makes C1 and C2
    tiny. For comparison with tables made that way (CDDFuse and its successors).
    """
    if min(fused.shape) < 7:
        return float("nan")
    x = fused.astype(np.float64)
    return sum(_ssim_uniform_range2(x, s.astype(np.float64)) for s in (a, b))


def ms_ssim(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return multi-scale SSIM averaged over the two sources (Wang, Simoncelli, Bovik 2003).

    Five scales with 2x2 mean and subsampling between, weights .0448 .2856 .3001 .2363 .1333;
    negative terms count as 0. nan below 176 pixels a side, where the coarsest scale holds no
    whole window.
    """
    if min(fused.shape) < 176:
        return float("nan")
    x = fused.astype(np.float64)
    return 0.5 * sum(_ms_ssim(x, s.astype(np.float64)) for s in (a, b))


def ms_ssim_to(fused: UInt8Image, target: UInt8Image) -> float:
    """Return multi-scale SSIM to one picture, at most 1; see ``ms_ssim``."""
    return ms_ssim(fused, target, target)


def mef_ssim(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return MEF-SSIM, the similarity to the best local patch of both sources (Ma et al. 2015).

    On [0, 1], Gaussian 11x11 sigma 1.5, whole windows, one scale: contrast-structure against the
    source of higher local variance (the form of Ma et al. 2019), luminance against the mean of
    the sources weighted by exp(-(m - .5)^2 / (2 .2^2)), m the local and the global mean.
    """
    if min(fused.shape) < 11:
        return float("nan")
    x = fused / 255.0
    sources = [a / 255.0, b / 255.0]
    c1, c2 = 0.01**2, 0.03**2
    mx, vx = _moments(x)
    means, variances, structures, weights = [], [], [], []
    for y in sources:
        my, vy = _moments(y)
        means.append(my)
        variances.append(vy)
        structures.append((2.0 * (_gauss(x * y) - mx * my) + c2) / (vx + vy + c2))
        local = np.exp(-((my - 0.5) ** 2) / (2 * 0.2**2))
        weights.append(local * np.exp(-((y.mean() - 0.5) ** 2) / (2 * 0.2**2)))
    contrast = np.where(variances[0] >= variances[1], structures[0], structures[1])
    target = (weights[0] * means[0] + weights[1] * means[1]) / (weights[0] + weights[1])
    luminance = (2.0 * mx * target + c1) / (mx**2 + target**2 + c1)
    return float(np.mean(luminance * contrast))


def _gauss(image: FloatArray) -> FloatArray:
    kernel = cv2.getGaussianKernel(11, 1.5, cv2.CV_64F)
    return np.asarray(cv2.sepFilter2D(image, cv2.CV_64F, kernel, kernel)[5:-5, 5:-5])


def _moments(image: FloatArray) -> tuple[FloatArray, FloatArray]:
    mean = _gauss(image)
    return mean, _gauss(image * image) - mean * mean


def _ssim_maps(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the maps of luminance and of contrast times structure."""
    mx, vx = _moments(x)
    my, vy = _moments(y)
    vxy = _gauss(x * y) - mx * my
    luminance = (2.0 * mx * my + _C1) / (mx**2 + my**2 + _C1)
    contrast = (2.0 * vxy + _C2) / (vx + vy + _C2)
    return luminance, contrast


def _ssim_uniform_range2(x: FloatArray, y: FloatArray) -> float:
    def mean(image: FloatArray) -> FloatArray:
        return np.asarray(cv2.blur(image, (7, 7))[3:-3, 3:-3])

    sample = 49.0 / 48.0
    c1, c2 = (0.01 * 2.0) ** 2, (0.03 * 2.0) ** 2
    mx, my = mean(x), mean(y)
    vx = sample * (mean(x * x) - mx * mx)
    vy = sample * (mean(y * y) - my * my)
    vxy = sample * (mean(x * y) - mx * my)
    top = (2.0 * mx * my + c1) * (2.0 * vxy + c2)
    return float(np.mean(top / ((mx**2 + my**2 + c1) * (vx + vy + c2))))


def _ms_ssim(x: FloatArray, y: FloatArray) -> float:
    value = 1.0
    for scale, weight in enumerate(_MS_WEIGHTS):
        luminance, contrast = _ssim_maps(x, y)
        term = contrast if scale < len(_MS_WEIGHTS) - 1 else luminance * contrast
        value *= max(0.0, float(np.mean(term))) ** weight
        x, y = _halve(x), _halve(y)
    return value


def _halve(image: FloatArray) -> FloatArray:
    even = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
    return 0.25 * (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2])
