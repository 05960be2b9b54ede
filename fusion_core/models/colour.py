"""Luma and chroma of RGB tensors, and a fused luma in the colours of a picture (BT.601, full)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

_GREY: Final = 128 / 255
_LEAST: Final = 1e-6
# OpenCV's weights for 8-bit pictures, in units of 2**-14: exact in float32.
_UNIT, _RED, _GREEN, _BLUE, _TO_CR, _TO_CB = 16384, 4899, 9617, 1868, 11682, 9241
_LUMA = (0.299, 0.587, 0.114)


def split_planes(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """Return luma ``Bx1xHxW`` and chroma Cb, Cr ``Bx2xHxW`` in [0, 1] of ``Bx3xHxW`` RGB.

    The picture and the planes are rounded to 8-bit levels, exactly as OpenCV does it: networks that
    fuse luma are trained on such planes.
    """
    levels = (rgb.float() * 255).round()
    red, green, blue = levels[:, :1], levels[:, 1:2], levels[:, 2:]
    luma = _rounded(_RED * red + _GREEN * green + _BLUE * blue)
    chroma = torch.cat((_TO_CB * (blue - luma), _TO_CR * (red - luma)), 1)
    return luma / 255, _rounded(chroma + 128 * _UNIT).clamp(0, 255) / 255


def luma_of(rgb: Tensor) -> Tensor:
    """Return the luma ``Bx1xHxW`` of ``Bx3xHxW`` RGB in [0, 1], not rounded."""
    red, green, blue = _LUMA
    return red * rgb[:, :1] + green * rgb[:, 1:2] + blue * rgb[:, 2:]


def attach_luma(rgb: Tensor, luma: Tensor, chroma: Tensor | None = None) -> Tensor:
    """Return ``Bx3xHxW`` RGB in [0, 1] that has a new luma.

    Where luma and colour together leave the range of RGB, the colour shrinks, just as far as it has
    to; the hue stays.

    Args:
        rgb: ``Bx3xHxW`` picture in [0, 1] that gives the colour.
        luma: ``Bx1xHxW`` in [0, 1].
        chroma: ``Bx2xHxW`` Cb and Cr in [0, 1] that give the colour instead.
    """
    if chroma is None:
        offsets = rgb - luma_of(rgb)
    else:
        blue, red = chroma[:, :1] - _GREY, chroma[:, 1:] - _GREY
        offsets = torch.cat((1.403 * red, -0.714 * red - 0.344 * blue, 1.773 * blue), 1)
    luma = luma.float()
    up, down = offsets.amax(1, keepdim=True), -offsets.amin(1, keepdim=True)
    room = torch.minimum((1 - luma) / up.clamp_min(_LEAST), luma / down.clamp_min(_LEAST))
    return (luma + room.clamp(0, 1) * offsets).clamp(0, 1)


def _rounded(values: Tensor) -> Tensor:
    return ((values + _UNIT // 2) / _UNIT).floor()
