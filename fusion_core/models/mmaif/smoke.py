"""Thick smoke, in the place of which thermal is shown where somebody wants all of it gone."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.mmaif.planes import enlarged
from fusion_core.models.mmaif.windows import box
from fusion_core.sentences import PLAIN

_THIN, _THICK = 0.5, 0.2  # shares of light that pass
_STEP: Final = 4  # the share is found on every fourth pixel
_SOFT: Final = 4  # places over which the rim of thick smoke is soft
_GAIN: Final = (0.2, 1.5)
_LEAST: Final = 1e-3


def beyond(removed: Tensor) -> Tensor:
    """Return ``Bx1x1x1`` in [0, 1], how far wishes ``B`` go beyond a plain one."""
    return ((removed - PLAIN) / (1 - PLAIN)).clamp(0, 1)[:, None, None, None]


def without_thick_smoke(planes: Tensor, thermal: Tensor, passed: Tensor, amount: Tensor) -> Tensor:
    """Return planes ``Bx3xHxW`` with thermal where smoke lets next to nothing through.

    What is behind thick smoke no restoration can know: thermal takes its place, without colours,
    with the mean and the spread that the visible luma has where the view is clear.

    Args:
        planes: Luma, Cb and Cr, restored.
        thermal: ``Bx1xHxW``.
        passed: ``Bx1xh/4xw/4`` share of light that passes, of pictures at least as large.
        amount: ``Bx1x1x1`` in [0, 1], how far.
    """
    thick = box(((_THIN - passed) / (_THIN - _THICK)).clamp(0, 1), _SOFT)
    height, width = planes.shape[-2:]
    whole = enlarged(thick, [_STEP * edge for edge in passed.shape[-2:]])
    share = amount * whole[..., :height, :width]
    luma, clear = planes[:, :1], 1 - share + _LEAST
    clear = clear / clear.sum((2, 3), keepdim=True)
    mean = (clear * luma).sum((2, 3), keepdim=True)
    spread = (clear * (luma - mean).square()).sum((2, 3), keepdim=True).sqrt()
    gain = (spread / thermal.std((2, 3), keepdim=True).clamp_min(_LEAST)).clamp(*_GAIN)
    seen = (mean + gain * (thermal - thermal.mean((2, 3), keepdim=True))).clamp(0, 1)
    chroma = 0.5 + (planes[:, 1:] - 0.5) * (1 - share)
    return torch.cat((torch.lerp(luma, seen, share), chroma), 1)


def light_passed(luma: Tensor, line: Tensor) -> Tensor:
    """Return ``Bx1xH/4xW/4`` in [0, 1], the share of light that passes by the dark channel.

    Args:
        luma: ``Bx1xHxW`` as the camera saw it.
        line: See :attr:`Measured.veil`.
    """
    return (line[:, :1] * F.avg_pool2d(luma, _STEP) + line[:, 1:]).clamp(0, 1)
