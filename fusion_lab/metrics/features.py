"""Feature mutual information: what the neighbourhood of a pixel shares with the sources'."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from fusion_core.types import UInt8Image
from fusion_lab.metrics.images import FloatArray

_EDGE: Final = 3
_LEAST: Final = 1e-300  # 0 log 0 is 0
_AT_ONCE: Final = 1024  # windows that are computed together


def feature_mutual_information(fused: UInt8Image, a: UInt8Image, b: UInt8Image) -> float:
    """Return FMI of raw pixels in 3x3 windows, mean over sources and windows, in [0, 1].

    Each window, stretched to 0..1 and divided by its sum, is taken for a distribution over its nine
    places, column by column. The joint distribution of two windows is the mixture of independence
    and the Frechet bound that has the correlation of their values (Nelsen 1987); FMI is twice the
    mutual information by the sum of both entropies (Haghighat, Razian 2014, with their defaults
    but for the feature: pixels as they are). Equal windows count 1; one that is flat counts 0.
    nan for pictures smaller than a window.
    """
    if min(fused.shape) < _EDGE:
        return math.nan
    ours = _windows(fused)
    return float(np.mean([_shared(ours, _windows(source)).mean() for source in (a, b)]))


def _windows(image: UInt8Image) -> UInt8Image:
    """Return ``9xN``: the places of every whole window, column by column."""
    height, width = (edge - _EDGE + 1 for edge in image.shape)
    places = [
        image[y : y + height, x : x + width].ravel() for x in range(_EDGE) for y in range(_EDGE)
    ]
    return np.asarray(places)


def _shared(fused: UInt8Image, source: UInt8Image) -> FloatArray:
    """Return the normalised mutual information of ``9xN`` windows, ``N`` values."""
    found = np.zeros(fused.shape[1])
    equal = (fused == source).all(0)
    found[equal] = 1.0
    flat = (np.ptp(fused, axis=0) == 0) | (np.ptp(source, axis=0) == 0)
    rest = np.flatnonzero(~equal & ~flat)
    for start in range(0, len(rest), _AT_ONCE):
        chosen = rest[start : start + _AT_ONCE]
        found[chosen] = _shared_of(
            _distribution(fused[:, chosen]), _distribution(source[:, chosen])
        )
    return found


def _distribution(windows: UInt8Image) -> FloatArray:
    values = windows.astype(np.float64) - windows.min(0)
    return np.asarray(values / values.sum(0))


def _shared_of(p: FloatArray, q: FloatArray) -> FloatArray:
    """Return ``2 I / (H_p + H_q)`` of two ``9xN`` distributions, neither of them flat."""
    correlation = _correlation(p, q)
    upper, lower = _steps(p), _steps(q)
    # Against each other, the second one is read from its end: the lower Frechet bound.
    against = correlation < 0
    starts = np.where(against, 1 - lower[1:], lower[:-1])
    ends = np.where(against, 1 - lower[:-1], lower[1:])
    # The sum of a bound less independence; of the lower one max(u + v - 1, 0) = u - min(u, 1 - v).
    reached = np.where(against, 1 - lower[1:], lower[1:])
    bound = np.zeros_like(correlation)
    for u in upper[1:]:
        bound += np.minimum(u, reached).sum(0)
    bound = np.where(against, len(p) * upper.sum(0) - bound, bound)
    bound -= upper.sum(0) * lower.sum(0)
    spread = _deviation(p) * _deviation(q)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where((bound == 0) | (spread == 0), 0.0, correlation * spread / bound)
    joint = np.zeros_like(correlation)
    for i in range(len(p)):
        overlap = np.minimum(upper[i + 1], ends) - np.maximum(upper[i], starts)
        mixed = weight * np.maximum(overlap, 0) + ((1 - weight) * p[i]) * q
        joint += _information(mixed).sum(0)
    entropies = _information(p).sum(0) + _information(q).sum(0)
    return np.asarray(2 * (entropies - joint) / np.where(entropies > 0, entropies, np.inf))


def _steps(p: FloatArray) -> FloatArray:
    """Return ``10xN``: the distribution function, from 0."""
    return np.concatenate((np.zeros_like(p[:1]), np.cumsum(p, axis=0)))


def _correlation(p: FloatArray, q: FloatArray) -> FloatArray:
    one, other = p - p.mean(0), q - q.mean(0)
    return np.asarray((one * other).sum(0) / np.sqrt((one * one).sum(0) * (other * other).sum(0)))


def _deviation(p: FloatArray) -> FloatArray:
    """Return the standard deviation of the place."""
    places = np.arange(1, len(p) + 1)[:, None]
    mean = (places * p).sum(0)
    return np.asarray(np.sqrt(np.maximum((places**2 * p).sum(0) - mean**2, 0)))


def _information(p: FloatArray) -> FloatArray:
    """Return -p log2 |p|, 0 at 0; a mixture beyond the bound has parts below zero."""
    return np.asarray(-p * np.log2(np.maximum(np.abs(p), _LEAST)))
