"""Settings of the thermal module; the configuration holds them as its block ``thermal``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fusion_core.runtime.on_off import OnOff
from fusion_core.runtime.settings import Settings
from fusion_core.thermal.crop import CROP_PATTERN


@dataclass(frozen=True)
class ThermalConfig(Settings):
    """From raw thermal counts to comparable luminance."""

    crop: Annotated[
        str,
        Field(
            pattern=CROP_PATTERN,
            description="Part of the picture that is the thermal image: upper or lower half of a "
            "stacked one, or x,y,w,h in pixels; empty: all of it.",
        ),
    ] = ""
    yuyv_counts: Annotated[
        bool,
        Field(
            description="The two bytes per pixel of a thermal YUYV video or camera are one 16-bit "
            "count, as in the lower half of stacked pictures."
        ),
    ] = False
    polarity: Annotated[
        Literal["white_hot", "black_hot"],
        Field(description="How the camera shows heat; black_hot: warm is dark, and is inverted."),
    ] = "white_hot"
    agc: Annotated[
        Literal["auto", "percentile", "plateau", "off"],
        OnOff,
        Field(
            description="Gain control; auto: percentile for more than 8 bits, off for 8 bits; "
            "off: the full range of the encoding."
        ),
    ] = "auto"
    smoothing_s: Annotated[
        float, Field(ge=0, le=60, description="Time constant of the gain limits, in seconds.")
    ] = 1.0
    midtone: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Brightest luminance of the median count: keeps a hot ground under a cold "
            "sky from being shown white. 1: off. Percentile gain control only.",
        ),
    ] = 0.4
    unit: Annotated[
        Literal["none", "celsius", "kelvin"],
        Field(description="Unit of scale * counts + offset; none: not radiometric."),
    ] = "none"
    scale: Annotated[
        float, Field(gt=0, le=1000, description="Unit per count of a radiometric camera.")
    ] = 0.01
    offset: Annotated[
        float, Field(ge=-1e4, le=1e4, description="Unit at zero counts of a radiometric camera.")
    ] = 0.0
    dead_pixels: Annotated[bool, Field(description="Replace dead and stuck pixels.")] = True
    destripe: Annotated[bool, Field(description="Remove fixed column stripes.")] = False
    freeze_frames: Annotated[
        int,
        Field(
            ge=0,
            le=1000,
            description="Identical frames in a row (2 or more) that mean a closed shutter; 0: off.",
        ),
    ] = 3
