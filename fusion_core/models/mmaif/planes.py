"""Luma and chroma of RGB tensors and back, without rounding (BT.601, full range)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.colour import attach_luma, luma_of

_BLUE, _RED = 1.772, 1.402
_SHIFT = 128 / 255 - 0.5


def to_planes(rgb: Tensor) -> Tensor:
    """Return ``Bx3xHxW`` luma, Cb and Cr in [0, 1] of RGB in [0, 1]; grey is 0.5."""
    luma = luma_of(rgb)
    return torch.cat((luma, (rgb[:, 2:] - luma) / _BLUE + 0.5, (rgb[:, :1] - luma) / _RED + 0.5), 1)


def to_rgb(planes: Tensor) -> Tensor:
    """Return ``Bx3xHxW`` RGB in [0, 1] of luma, Cb and Cr; colours shrink where they must."""
    inside = planes.clamp(0, 1)
    return attach_luma(inside, inside[:, :1], inside[:, 1:] + _SHIFT)


def enlarged(x: Tensor, size: Sequence[int]) -> Tensor:
    """Return ``BxCxhxw`` on a grid of another size, bilinearly."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)
