"""Pyramids of pictures of any size, and a filter that keeps edges."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F


def halvings(height: int, width: int, smallest: int) -> int:
    """Return how often a picture can be halved until its shorter edge is below ``2 smallest``."""
    return max(0, (min(height, width) // smallest).bit_length() - 1)


def halve(x: Tensor) -> Tensor:
    """Return ``BxCxhxw`` of ``BxCxHxW``, half as high and wide, rounded up.

    The kernel is (1, 3, 3, 1) / 8 each way; borders are repeated.
    """
    height, width = x.shape[-2:]
    x = F.pad(x, (1, 1 + width % 2, 1, 1 + height % 2), mode="replicate")
    x = x[..., 0:-3:2, :] + 3 * (x[..., 1:-2:2, :] + x[..., 2:-1:2, :]) + x[..., 3::2, :]
    x = x[..., 0:-3:2] + 3 * (x[..., 1:-2:2] + x[..., 2:-1:2]) + x[..., 3::2]
    return x / 64


def resize(x: Tensor, like: Tensor) -> Tensor:
    """Return ``BxCxHxW`` on the grid of another picture."""
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)


def gaussian(x: Tensor, steps: int) -> list[Tensor]:
    """Return the picture and its ``steps`` halvings, the finest first."""
    levels = [x]
    for _ in range(steps):
        levels.append(halve(levels[-1]))
    return levels


def laplacian(levels: Sequence[Tensor]) -> list[Tensor]:
    """Return what each level has beyond the next one, and the last level."""
    details = [fine - resize(coarse, fine) for fine, coarse in pairwise(levels)]
    return [*details, levels[-1]]


def collapse(details: Sequence[Tensor]) -> Tensor:
    """Return the picture of which :func:`laplacian` gave the details."""
    x = details[-1]
    for fine in reversed(details[:-1]):
        x = fine + resize(x, fine)
    return x


def box(x: Tensor, radius: int) -> Tensor:
    """Return the mean over the square around every pixel, with repeated borders."""
    edge = 2 * radius + 1
    x = F.pad(x, (radius, radius, radius, radius), mode="replicate")
    x = F.avg_pool2d(x, (edge, 1), stride=1)
    return F.avg_pool2d(x, (1, edge), stride=1)


def guided(x: Tensor, guide: Tensor, radius: int, eps: float) -> Tensor:
    """Return ``Bx1xHxW`` smoothed along the edges of a guide (He, Sun, Tang 2010, eq. 5-8).

    Args:
        x: ``Bx1xHxW``.
        guide: ``Bx1xHxW`` picture in [0, 1].
        radius: Of the window.
        eps: Variance of the guide below which it counts as flat.
    """
    means = box(torch.cat((x, guide, x * guide, guide * guide), 1), radius)
    mean_x, mean_g, cross, square = means.chunk(4, 1)
    slope = (cross - mean_x * mean_g) / (square - mean_g * mean_g + eps)
    offset = mean_x - slope * mean_g
    slope, offset = box(torch.cat((slope, offset), 1), radius).chunk(2, 1)
    return slope * guide + offset
