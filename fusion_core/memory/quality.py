"""Score how good a picture looks, without reference and in a fraction of a millisecond."""

from __future__ import annotations

import math

import cv2
import numpy as np

from fusion_core.types import FloatImage

# Of every sixteen rows three neighbouring ones are looked at.
_ROWS, _PERIOD = 3, 16
_TILE = 16
# Share of the tiles that are taken to be flat, so that only noise moves them.
_FLAT_SHARE = 0.1
# Mean of |N * x| for white noise of standard deviation 1 and Immerkaer's mask N.
_IMMERKAER = 6 * math.sqrt(2 / math.pi)
# Share of that mean which the flattest tenth of the tiles reaches when there is only noise.
_FLATTEST = 0.69
# A picture with these values gets half of the term's credit.
_HALF_CONTRAST, _HALF_SHARPNESS, _HALF_NOISE = 0.12, 0.08, 0.04
# Further than this from mid-grey a pixel counts as clipped.
_CLIPPED = 0.48
# Logit of a picture without merit, and what each term adds at most.
_BIAS, _CONTRAST, _SHARPNESS, _EXPOSURE, _NOISE = -3.0, 2.0, 6.0, 2.0, -5.0


def quality_score(luma: FloatImage) -> float:
    """Return the quality score of a picture.

    The logistic of four terms, each saturating as ``v / (v + half)``: contrast (standard
    deviation), sharpness (root mean square gradient, less what the noise puts into it), exposure
    (distance of the mean from mid-grey and share of clipped pixels) and noise (Immerkaer 1996,
    taken from the flattest tenth of the tiles, so that texture is not mistaken for it).

    Args:
        luma: ``HxW`` float32 in [0, 1].

    Returns:
        A score in (0, 1); higher is better, and only scores of one camera compare.
    """
    rows = _sample_rows(luma)
    mean, contrast = _moments(rows)
    noise = _noise(rows)
    dark, light = np.count_nonzero(rows < 0.5 - _CLIPPED), np.count_nonzero(rows > 0.5 + _CLIPPED)
    clipped = (dark + light) / rows.size
    exposure = (1 - (2 * mean - 1) ** 2) * (1 - clipped)
    logit = (
        _BIAS
        + _CONTRAST * _saturate(contrast, _HALF_CONTRAST)
        + _SHARPNESS * _saturate(_sharpness(rows, noise), _HALF_SHARPNESS)
        + _EXPOSURE * exposure
        + _NOISE * _saturate(noise, _HALF_NOISE)
    )
    return 1 / (1 + math.exp(-logit))


def _sample_rows(luma: FloatImage) -> FloatImage:
    """Return ``Kx3xW``: three neighbouring rows out of every sixteen."""
    bottom, right = max(0, _PERIOD - luma.shape[0]), max(0, _TILE + 2 - luma.shape[1])
    if bottom or right:
        luma = np.pad(luma, ((0, bottom), (0, right)), mode="edge")
    height, width = luma.shape
    kept = height // _PERIOD
    rows = luma[: kept * _PERIOD].reshape(kept, _PERIOD, width)[:, :_ROWS]
    return np.ascontiguousarray(rows, np.float32)


def _moments(rows: FloatImage) -> tuple[float, float]:
    """Return the mean and the standard deviation, that of a sample."""
    mean, deviation = (float(value[0, 0]) for value in cv2.meanStdDev(rows.reshape(len(rows), -1)))
    return mean, deviation * math.sqrt(rows.size / (rows.size - 1))


def _noise(rows: FloatImage) -> float:
    """Return the standard deviation of the noise."""
    down = rows[:, 0] - 2 * rows[:, 1] + rows[:, 2]
    response = np.abs(down[:, :-2] - 2 * down[:, 1:-1] + down[:, 2:])
    whole = response.shape[1] // _TILE * _TILE
    tiles = response[:, :whole].reshape(-1, _TILE).mean(1)
    rank = max(1, round(_FLAT_SHARE * len(tiles))) - 1
    return float(np.partition(tiles, rank)[rank]) / (_IMMERKAER * _FLATTEST)


def _sharpness(rows: FloatImage, noise: float) -> float:
    """Return the root mean square gradient of the picture behind the noise."""
    middle = rows[:, 1]
    energy = _mean_square(middle[:, 1:] - middle[:, :-1]) + _mean_square(rows[:, 2] - middle)
    # Each of the two differences doubles the variance of white noise.
    return math.sqrt(max(0.0, energy - 4 * noise * noise))


def _mean_square(values: FloatImage) -> float:
    return float(cv2.norm(values, cv2.NORM_L2SQR)) / values.size


def _saturate(value: float, half: float) -> float:
    return value / (value + half)
