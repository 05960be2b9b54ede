"""The rules that a restoration begins with, each taken as far as it is told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from fusion_core.models.mmaif.measuring import Measured
from fusion_core.models.mmaif.planes import enlarged
from fusion_core.models.mmaif.windows import box

RULES: Final[Mapping[str, tuple[str, ...]]] = {
    "stripes": ("stripes",),
    "noise": ("noise",),
    "blocks": ("jpeg",),
    "drops": ("rain", "snow"),
    "veil": ("haze", "smoke"),
    "dark": ("low_light",),
    "bright": ("over_exposure",),
    "flat": ("low_contrast",),
}
"""Rule -> the degradations that it is for."""
_DROP: Final = 0.07  # what stands out of its surroundings by more is a drop
_SHARPLY: Final = 40.0
_NEAR, _FAR, _LITTLE = 2, 6, 0.05  # of the filling
_DARK, _BRIGHT = 110 / 255, 120 / 255  # means that darkness and glare are brought to
_LEAST_SPAN: Final = 16 / 255
_THINNEST: Final = 0.15
_DARKEST: Final = 1e-3
_COLOURFUL: Final = 6.0


def without_drops(planes: Tensor, above: Tensor, amount: Tensor, more: Tensor) -> Tensor:
    """Return planes ``Bx3xHxW`` in which bright narrow things are filled from around them.

    Args:
        planes: Luma, Cb and Cr.
        above: ``Bx1xHxW`` how much brighter than its surroundings and narrow it is.
        amount: ``Bx1xHxW`` in [0, 1], how far.
        more: ``Bx1xHxW`` logits that say where else, or where not.
    """
    mask = amount * (_SHARPLY * (above - _DROP) + more).sigmoid()
    weight = 1 - mask
    weighted = torch.cat((planes * weight, weight), 1)
    near, far = box(weighted, _NEAR), box(weighted, _FAR)
    around = far[:, :3] / far[:, 3:].clamp_min(_DARKEST)
    # Where nothing near is left, what is farther away fills.
    found = (near[:, :3] + _LITTLE * around) / (near[:, 3:] + _LITTLE)
    return torch.lerp(planes, found, mask)


def without_veil(planes: Tensor, measured: Measured, amount: Tensor) -> Tensor:
    """Return planes without what the dark channel takes for haze, of which ``amount`` goes."""
    light = (1 - amount * (1 - passed_light(planes, measured))).clamp_min(_THINNEST)
    return (planes - measured.air) / light + measured.air


def passed_light(planes: Tensor, measured: Measured) -> Tensor:
    """Return ``Bx1xHxW`` in [0, 1], the share of the light that passes the air."""
    line = enlarged(measured.veil, planes.shape[-2:])
    return (line[:, :1] * planes[:, :1] + line[:, 1:]).clamp(0, 1)


def power_of(measured: Measured, dark: Tensor, bright: Tensor) -> Tensor:
    """Return the logarithm ``Bx1x1x1`` of a gamma that brings the mean to the middle.

    Args:
        measured: Of the picture.
        dark: ``Bx1x1x1`` in [0, 1], how far a dark picture is lit.
        bright: The same of a bright one that is darkened.
    """
    mean = measured.levels[:, 1:2].clamp(0.01, 0.98).log()
    lit = (math.log(_DARK) / mean).log().clamp_max(0)
    dimmed = (math.log(_BRIGHT) / mean).log().clamp_min(0)
    return dark * lit + bright * dimmed


def toned(planes: Tensor, power: Tensor) -> Tensor:
    """Return planes under a gamma, with colours that follow its slope."""
    luma = planes[:, :1].clamp(_DARKEST, 1)
    slope = (power * luma ** (power - 1)).clamp(1 / _COLOURFUL, _COLOURFUL)
    return torch.cat((luma**power, (planes[:, 1:] - 0.5) * slope + 0.5), 1)


def stretched(planes: Tensor, measured: Measured, power: Tensor, amount: Tensor) -> Tensor:
    """Return planes whose first and last percent are drawn towards black and white."""
    low, high = (measured.levels[:, [place]].clamp_min(_DARKEST) ** power for place in (0, 2))
    low, high = amount * low, 1 + amount * (high - 1)
    gain = 1 / (high - low).clamp_min(_LEAST_SPAN)
    return torch.cat(((planes[:, :1] - low) * gain, (planes[:, 1:] - 0.5) * gain + 0.5), 1)
