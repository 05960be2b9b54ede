"""Metrics that compare the fused image with its sources pixel by pixel, and VIF."""

from __future__ import annotations

import cv2
import numpy as np

from fusion_core.types import UInt8Image
from fusion_lab.metrics.images import FloatArray

_SENSOR_NOISE = 2.0
_EPS = 1e-10


def sum_of_correlations_of_differences(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return SCD = corr(F - B, A) + corr(F - A, B) (Aslantas, Bendes 2015).

    -2..2; nan when a source or a difference is constant.
    """
    f, x, y = (i.astype(np.float64) for i in (fused, a, b))
    return _correlation(f - y, x) + _correlation(f - x, y)


def _correlation(x: FloatArray, y: FloatArray) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = np.sqrt(np.sum(x * x) * np.sum(y * y))
    return float(np.sum(x * y) / scale) if scale > 0 else float("nan")


def mean_squared_error(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return MSE, the mean over both sources on the [0, 1] scale."""
    f = fused.astype(np.float64)
    return float(0.5 * (np.mean((f - a) ** 2) + np.mean((f - b) ** 2)) / 255.0**2)


def psnr(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return PSNR in dB: 10 log10(255^2 / MSE), MSE the mean over both sources."""
    return _decibel(1.0, mean_squared_error(fused, a, b))


def psnr_to(fused: UInt8Image, target: UInt8Image) -> float:
    """Return PSNR to one picture in dB, inf where they are equal."""
    return psnr(fused, target, target)


def psnr_peak_255_on_unit(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return PSNR with MSE on [0, 1] but a peak of 255, 48.13 dB above ``psnr``."""
    return _decibel(255.0**2, mean_squared_error(fused, a, b))


def psnr_vifb(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return PSNR of the VIFB and MEFB benchmarks: ``rmse_vifb`` stands where MSE belongs."""
    return _decibel(255.0**2, rmse_vifb(fused, a, b))


def psnr_peak_of_fused(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return PSNR in dB with the brightest fused value as the peak (the CDDFuse evaluator)."""
    return _decibel((float(fused.max()) / 255.0) ** 2, mean_squared_error(fused, a, b))


def rmse_vifb(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return sqrt(sum of squared differences) / (H W), mean over both sources, 0..255 scale."""
    f = fused.astype(np.float64)
    return float(0.5 * sum(np.sqrt(np.sum((f - s) ** 2)) for s in (a, b)) / fused.size)


def _decibel(peak: float, error: float) -> float:
    if peak == 0.0:
        return float("nan")
    return float(10.0 * np.log10(peak / error)) if error > 0 else float("inf")


def visual_information(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return VIF(A, F) + VIF(B, F), pixel domain, four scales (Sheikh, Bovik 2006).

    Source first: the direction matters. Gaussians of 17, 9, 5, 3 pixels with sigma N/5, whole
    windows, noise variance 2. This is not VIFF. nan below 48 pixels a side.
    """
    return _vif_sum(fused, a, b, saturate=False)


def visual_information_u8(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return the VIF sum with the products of the first scale cut at 255.

    Saturating 8-bit arithmetic of an early public MATLAB evaluator; published tables use it.
    """
    return _vif_sum(fused, a, b, saturate=True)


def _vif_sum(fused: UInt8Image, a: UInt8Image, b: UInt8Image, *, saturate: bool) -> float:
    if min(fused.shape) < 48:
        return float("nan")
    f = fused.astype(np.float64)
    return sum(_vif(s.astype(np.float64), f, saturate=saturate) for s in (a, b))


def _vif(reference: FloatArray, distorted: FloatArray, *, saturate: bool) -> float:
    kept = available = 0.0
    for scale, size in enumerate((17, 9, 5, 3)):
        kernel = np.asarray(cv2.getGaussianKernel(size, size / 5.0, cv2.CV_64F), dtype=np.float64)
        if scale:
            reference = _filter_valid(reference, kernel)[::2, ::2]
            distorted = _filter_valid(distorted, kernel)[::2, ::2]
        limit = 255.0 if saturate and scale == 0 else np.inf
        gain, noise, power = _gain_and_noise(reference, distorted, kernel, limit)
        kept += float(np.sum(np.log10(1.0 + gain**2 * power / (noise + _SENSOR_NOISE))))
        available += float(np.sum(np.log10(1.0 + power / _SENSOR_NOISE)))
    return kept / available if available > 0 else float("nan")


def _gain_and_noise(
    reference: FloatArray, distorted: FloatArray, kernel: FloatArray, limit: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return gain, noise variance and reference variance of the local linear channel."""
    mr, md = _filter_valid(reference, kernel), _filter_valid(distorted, kernel)

    def moment(x: FloatArray, y: FloatArray) -> FloatArray:
        return _filter_valid(np.minimum(limit, x * y), kernel)

    vr = np.maximum(0.0, moment(reference, reference) - mr * mr)
    vd = np.maximum(0.0, moment(distorted, distorted) - md * md)
    covariance = moment(reference, distorted) - mr * md
    gain = covariance / (vr + _EPS)
    noise = vd - gain * covariance
    flat_reference, flat_distorted = vr < _EPS, vd < _EPS
    gain[flat_reference | flat_distorted] = 0.0
    noise[flat_reference] = vd[flat_reference]
    vr[flat_reference] = 0.0
    noise[flat_distorted] = 0.0
    negative = gain < 0
    noise[negative] = vd[negative]
    gain[negative] = 0.0
    return gain, np.maximum(noise, _EPS), vr


def _filter_valid(image: FloatArray, kernel: FloatArray) -> FloatArray:
    r = len(kernel) // 2
    return np.asarray(cv2.sepFilter2D(image, cv2.CV_64F, kernel, kernel)[r:-r, r:-r])
