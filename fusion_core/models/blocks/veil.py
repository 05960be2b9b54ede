"""How much light of the scene passed a veil, measured from a picture before and after it went."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

_CELL = 8
# Cells of the window over which transmission is taken as constant: 72 pixels.
_WINDOW = 9
# Variance of the luma that is too little to tell from: a deviation of 8 of 255.
_FLAT = 1e-3
_LEAST = 0.25


def transmission(veiled: Tensor, clear: Tensor) -> Tensor:
    """Return ``Bx1xHxW``, in [1/4, 1], how much of a picture's contrast its veil lets through.

    Koschmieder's law, I = J t + A (1 - t), attenuates contrast and colour alike. Where t and A are
    constant, t is the slope of the regression of I on J, which no brightness changes, nor a streak
    that J does not have. Flat places count as clear.

    Args:
        veiled: ``Bx1xHxW`` luma I in [0, 1], height and width multiples of 8.
        clear: ``Bx1xHxW`` luma J of the same scene.
    """
    before, after = veiled.float(), clear.float()
    mean = _around(after)
    covariance = _around(before * after) - _around(before) * mean
    variance = _around(after.square()) - mean.square()
    passed = ((covariance + _FLAT) / (variance.clamp_min(0.0) + _FLAT)).clamp(_LEAST, 1.0)
    return F.interpolate(passed, scale_factor=_CELL, mode="bilinear", align_corners=False)


def _around(plane: Tensor) -> Tensor:
    """Return the mean of the window around every cell."""
    cells = F.avg_pool2d(plane, _CELL)
    return F.avg_pool2d(cells, _WINDOW, 1, _WINDOW // 2, count_include_pad=False)
