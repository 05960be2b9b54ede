"""Means, extremes and lines over the surroundings of a pixel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def box(x: Tensor, radius: int) -> Tensor:
    """Return the mean over the square around every pixel, with repeated borders."""
    edge = 2 * radius + 1
    padded = F.pad(x, (radius, radius, radius, radius), mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, (edge, 1), 1), (1, edge), 1)


def largest(x: Tensor, radius: int) -> Tensor:
    """Return the largest value in the square around every pixel."""
    edge = 2 * radius + 1
    rows = F.max_pool2d(x, (edge, 1), 1, (radius, 0))
    return F.max_pool2d(rows, (1, edge), 1, (0, radius))


def opened(x: Tensor, radius: int) -> Tensor:
    """Return ``x`` without what is brighter than its surroundings and narrow: an opening."""
    return largest(-largest(-x, radius), radius)


def guided_line(guide: Tensor, target: Tensor, radius: int, flat: float) -> Tensor:
    """Return ``Bx2xHxW`` slope and offset by which a guide ``Bx1xHxW`` follows a target best.

    The guided filter of He, Sun and Tang (2010) before its line is drawn, so that the line can be
    found on a coarse grid and drawn on a fine one.
    """
    mean, wanted, square, product = box(
        torch.cat((guide, target, guide * guide, guide * target), 1), radius
    ).chunk(4, 1)
    slope = (product - mean * wanted) / ((square - mean * mean).clamp_min(0) + flat)
    return box(torch.cat((slope, wanted - slope * mean), 1), radius)
