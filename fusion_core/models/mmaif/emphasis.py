"""What a text names is shown brightly: things that a mask marks, and what is hot."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

_DARKEST: Final = 0.3  # what is emphasised is not shown darker than this
_REACH: Final = 4  # pixels over which a mask's rim is soft
_WARM, _HOT = 1.0, 2.0  # deviations above the mean where a thermal picture counts as hot


def hot_mask(thermal: Tensor) -> Tensor:
    """Return ``Bx1xHxW`` in [0, 1], 1 where a thermal picture ``Bx1xHxW`` is clearly hot."""
    mean = thermal.mean((2, 3), keepdim=True)
    deviation = thermal.std((2, 3), keepdim=True).clamp_min(1e-3)
    return (((thermal - mean) / deviation - _WARM) / (_HOT - _WARM)).clamp(0, 1)


def soft_rim(mask: Tensor) -> Tensor:
    """Return a mask ``Bx1xHxW`` whose rim is a ramp."""
    edge = 2 * _REACH + 1
    padded = F.pad(mask, (_REACH, _REACH, _REACH, _REACH), mode="replicate")
    return F.avg_pool2d(padded, edge, stride=1)


def shown_brightly(luma: Tensor, thermal: Tensor, amount: Tensor) -> Tensor:
    """Return luma ``Bx1xHxW`` in which what is marked is as bright as thermal shows it, or more.

    Args:
        luma: ``Bx1xHxW`` of the fused picture.
        thermal: ``Bx1xHxW``, hot is bright.
        amount: ``Bx1xHxW`` in [0, 1], how far.
    """
    bright = torch.maximum(luma, _DARKEST + (1 - _DARKEST) * thermal.clamp(0, 1))
    return torch.lerp(luma, bright, amount)
