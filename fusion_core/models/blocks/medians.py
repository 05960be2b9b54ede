"""Running medians along the rows of a picture: what they take away is narrow."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

_REACH = 2
"""Samples on either side of the one in the middle."""


def narrow_parts(planes: Tensor, spacings: Sequence[int]) -> Tensor:
    """Return what is narrower than running medians along the rows, ``BxSCxHxW`` of ``BxCxHxW``.

    Every pixel less the median of five in its row, ``s`` pixels apart, for each spacing ``s``: a
    streak or flake less than ``2 s + 1`` pixels wide is in it with all its brightness above what is
    around, and an edge is not.

    Args:
        planes: Planes, of any range.
        spacings: Distances ``s`` of the samples in pixels.
    """
    width = planes.shape[-1]
    margin = _REACH * max(spacings)
    wide = F.pad(planes, (margin, margin, 0, 0), mode="replicate")
    parts = []
    for spacing in spacings:
        starts = (margin + step * spacing for step in range(-_REACH, _REACH + 1))
        parts.append(planes - _median_of_five(*(wide[..., at : at + width] for at in starts)))
    return torch.cat(parts, 1)


def _median_of_five(a: Tensor, b: Tensor, c: Tensor, d: Tensor, e: Tensor) -> Tensor:
    """Return it without sorting; which of the five is which does not matter.

    The least and the largest of ``a, b, d, e`` cannot be the median.
    """
    low = torch.maximum(torch.minimum(a, b), torch.minimum(d, e))
    high = torch.minimum(torch.maximum(a, b), torch.maximum(d, e))
    return torch.maximum(torch.minimum(low, high), torch.minimum(torch.maximum(low, high), c))
