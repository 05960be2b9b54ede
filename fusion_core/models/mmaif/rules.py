"""The rules that a restoration begins with, each taken as far as it is told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.mmaif.measuring import Measured
from fusion_core.models.mmaif.planes import enlarged
from fusion_core.models.mmaif.weather import COARSE, RADIUS, Weather
from fusion_core.models.mmaif.windows import box

RULES: Final[Mapping[str, tuple[str, ...]]] = {
    "stripes": ("stripes",),
    "noise": ("noise",),
    "blocks": ("jpeg",),
    "drops": ("rain", "snow"),
    "veil": ("haze", "smoke", "rain", "snow"),
    "dark": ("low_light",),
    "bright": ("over_exposure",),
    "flat": ("low_contrast",),
}
"""Rule -> the degradations that it is for."""
_DARK, _BRIGHT = 110 / 255, 120 / 255  # means that darkness and glare are brought to
_LEAST_SPAN: Final = 16 / 255
_DARKEST: Final = 1e-3
_COLOURFUL: Final = 6.0


def without_weather(
    planes: Tensor, weather: Weather, veil: Tensor, drops: Tensor, falling: Tensor
) -> Tensor:
    """Return planes ``Bx3xHxW`` without what is in the air.

    What the experts change is parted in two: the line that follows the luma is the veil's, with
    its colours by the same slope, as Koschmieder's law has it; the rest is mostly what is narrow,
    where the line does not take it along. With both taken away it is the experts' own luma. A veil
    only lowers contrast: without rain or snow no line lowers it further, which would take noise
    along. Its mean over the surroundings stays as it is.

    Args:
        planes: Luma, Cb and Cr.
        weather: What the experts see of the same view.
        veil: ``Bx1xHxW`` in [0, 1], how far the veil goes.
        drops: ``Bx1xHxW`` in [0, 1], how far the rest goes.
        falling: ``Bx1x1x1`` in [0, 1], how far the veil is to go because of rain or snow.
    """
    luma = planes[:, :1]
    few, rise = F.avg_pool2d(luma, COARSE), (1 - weather.line[:, :1]).clamp_min(0) * (1 - falling)
    line = weather.line + torch.cat((rise, -rise * box(few, RADIUS)), 1)
    slope, offset = enlarged(line, planes.shape[-2:]).chunk(2, 1)
    along = slope * luma + offset
    luma = luma + veil * (along - luma) + drops * (weather.clear - along)
    gain = 1 + veil * (slope.clamp(1, _COLOURFUL) - 1)
    return torch.cat((luma, (planes[:, 1:] - 0.5) * gain + 0.5), 1)


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
