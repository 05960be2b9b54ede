"""Score how good a picture looks, without reference and in a fraction of a millisecond."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

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


@torch.no_grad()
def quality_score(luma: Tensor) -> Tensor:
    """Return a quality score per picture.

    The logistic of four terms, each saturating as ``v / (v + half)``: contrast (standard
    deviation), sharpness (root mean square gradient, less what the noise puts into it), exposure
    (distance of the mean from mid-grey and share of clipped pixels) and noise (Immerkaer 1996,
    taken from the flattest tenth of the tiles, so that texture is not mistaken for it).

    Args:
        luma: ``Bx1xHxW`` in [0, 1].

    Returns:
        ``B`` scores in (0, 1); higher is better, and only scores of one camera compare.
    """
    rows = _sample_rows(luma.float())
    mean = rows.mean((1, 2, 3))
    contrast = rows.std((1, 2, 3))
    noise = _noise(rows)
    sharpness = _sharpness(rows, noise)
    clipped = ((rows - 0.5).abs() > _CLIPPED).float().mean((1, 2, 3))
    exposure = (1 - (2 * mean - 1).square()) * (1 - clipped)
    return torch.sigmoid(
        _BIAS
        + _CONTRAST * _saturate(contrast, _HALF_CONTRAST)
        + _SHARPNESS * _saturate(sharpness, _HALF_SHARPNESS)
        + _EXPOSURE * exposure
        + _NOISE * _saturate(noise, _HALF_NOISE)
    )


def _sample_rows(luma: Tensor) -> Tensor:
    """Return ``BxKx3xW``: three neighbouring rows out of every sixteen."""
    bottom, right = max(0, _PERIOD - luma.shape[2]), max(0, _TILE + 2 - luma.shape[3])
    if bottom or right:
        luma = F.pad(luma, (0, right, 0, bottom), mode="replicate")
    height, width = luma.shape[2:]
    kept = height // _PERIOD
    return luma[:, 0, : kept * _PERIOD].view(-1, kept, _PERIOD, width)[:, :, :_ROWS]


def _noise(rows: Tensor) -> Tensor:
    """Return the standard deviation of the noise."""
    across = rows[..., :-2] - 2 * rows[..., 1:-1] + rows[..., 2:]
    response = (across[:, :, 0] - 2 * across[:, :, 1] + across[:, :, 2]).abs()
    whole = response.shape[-1] // _TILE * _TILE
    tiles = response[..., :whole].reshape(len(rows), -1, _TILE).mean(-1)
    rank = max(1, round(_FLAT_SHARE * tiles.shape[1]))
    flattest: Tensor = tiles.kthvalue(rank, dim=1).values
    return flattest / (_IMMERKAER * _FLATTEST)


def _sharpness(rows: Tensor, noise: Tensor) -> Tensor:
    """Return the root mean square gradient of the picture behind the noise."""
    middle = rows[:, :, 1]
    across = middle[..., 1:] - middle[..., :-1]
    down = rows[:, :, 2] - middle
    energy = across.square().mean((1, 2)) + down.square().mean((1, 2))
    # Each of the two differences doubles the variance of white noise.
    return (energy - 4 * noise.square()).clamp_min(0).sqrt()


def _saturate(value: Tensor, half: float) -> Tensor:
    return value / (value + half)
