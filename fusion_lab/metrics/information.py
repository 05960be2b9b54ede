"""Metrics of information: entropies of 256-bin histograms and 256x256 joint histograms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fusion_core.types import UInt8Image
from fusion_lab.metrics.images import FloatArray


def entropy(image: UInt8Image) -> float:
    """Return EN in bits: -sum p log2 p over 256 bins, 0 log 0 = 0."""
    return _entropy(_histogram(image), np.log2)


def mutual_information(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return MI = MI(F, A) + MI(F, B) in nats (Qu et al. 2002)."""
    return _mutual(fused, a) + _mutual(fused, b)


def mutual_information_bits(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return MI in bits, that is the value in nats divided by ln 2."""
    return mutual_information(fused, a, b) / float(np.log(2.0))


def mutual_information_stretched(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return MI in nats after a min-max stretch of each image to 0..255 (the VIFB benchmark)."""
    return mutual_information(_stretch(fused), _stretch(a), _stretch(b))


def cross_entropy(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return CE in bits: mean over the sources of sum p_A log2(p_A / p_F), lower is better.

    Bins where either probability is zero are left out, as in the VIFB benchmark.
    """
    pf = _histogram(fused)
    return 0.5 * (_divergence(_histogram(a), pf) + _divergence(_histogram(b), pf))


def normalized_mutual_information(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return NMI = 2 [MI(A,F) / (H_A + H_F) + MI(B,F) / (H_B + H_F)] (Hossny et al. 2008).

    0..2; nan where both entropies of a pair are zero.
    """
    return 2.0 * (_mutual_share(fused, a) + _mutual_share(fused, b))


def nonlinear_correlation_entropy(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return NCIE of the three images (Wang, Shen, Jin 2005).

    1 + sum_i (l_i / 3) log_256(l_i / 3) over the eigenvalues l of the 3x3 matrix of nonlinear
    correlation coefficients H'(X) + H'(Y) - H'(X, Y), entropies to base 256.
    """
    coefficients = np.eye(3)
    images = (a, b, fused)
    for i in range(3):
        for j in range(i):
            value = _mutual(images[i], images[j]) / np.log(256.0)
            coefficients[i, j] = coefficients[j, i] = value
    share = np.linalg.eigvalsh(coefficients) / 3.0
    share = share[share > 0]
    return float(1.0 + np.sum(share * np.log(share)) / np.log(256.0))


def _histogram(image: UInt8Image) -> FloatArray:
    return np.bincount(image.ravel(), minlength=256) / image.size


def _joint_histogram(a: UInt8Image, b: UInt8Image) -> FloatArray:
    codes = a.ravel().astype(np.intp) * 256 + b.ravel()
    return np.asarray(np.bincount(codes, minlength=65536).reshape(256, 256) / a.size)


def _entropy(p: FloatArray, log: Callable[[FloatArray], FloatArray]) -> float:
    filled = p[p > 0]
    # + 0.0 turns the -0.0 of a constant image into 0.0.
    return float(-np.sum(filled * log(filled))) + 0.0


def _mutual(a: UInt8Image, b: UInt8Image) -> float:
    joint = _joint_histogram(a, b)
    pa, pb = joint.sum(axis=1), joint.sum(axis=0)
    return _entropy(pa, np.log) + _entropy(pb, np.log) - _entropy(joint, np.log)


def _mutual_share(fused: UInt8Image, source: UInt8Image) -> float:
    total = _entropy(_histogram(fused), np.log) + _entropy(_histogram(source), np.log)
    return _mutual(fused, source) / total if total > 0 else float("nan")


def _divergence(p: FloatArray, q: FloatArray) -> float:
    both = (p > 0) & (q > 0)
    return float(np.sum(p[both] * np.log2(p[both] / q[both])))


def _stretch(image: UInt8Image) -> UInt8Image:
    low, high = int(image.min()), int(image.max())
    if low == high:
        return np.zeros_like(image)
    return np.round((image.astype(np.float64) - low) * (255.0 / (high - low))).astype(np.uint8)
