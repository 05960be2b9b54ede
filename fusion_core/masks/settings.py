"""Settings of the masks module; the configuration holds them as its block ``mask``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fusion_core.runtime.settings import Settings, SplitNames
from fusion_core.types import Box


def parse_boxes(text: str) -> tuple[Box, ...]:
    """Return boxes from ``left,top,width,height`` in pixels, separated by semicolons.

    Raises:
        ValueError: A part is no box, or has no area.
    """
    return tuple(_parse_box(part) for part in text.split(";") if part.strip())


def _parse_box(text: str) -> Box:
    try:
        left, top, width, height = (float(number) for number in text.split(","))
    except ValueError:
        raise ValueError(
            f"box {text.strip()!r}: expected left,top,width,height in pixels, as 100,50,40,120"
        ) from None
    if not (width > 0 and height > 0 and all(map(math.isfinite, (left, top, width, height)))):
        raise ValueError(f"box {text.strip()!r}: width and height must be above 0")
    return left, top, width, height


def _checked(text: str) -> str:
    parse_boxes(text)
    return text


@dataclass(frozen=True)
class MaskConfig(Settings):
    """Where the mask of a network that takes masks comes from."""

    source: Annotated[
        Literal["none", "saliency", "detector"],
        Field(
            description="What is emphasised while no mask is given: nothing, what is clearly hotter"
            " than its surround, or what the detector found in the previous frame."
        ),
    ] = "saliency"
    labels: Annotated[
        tuple[str, ...],
        SplitNames,
        Field(description="Classes of the detector to emphasise, separated by commas; empty: all."),
    ] = ()
    file: Annotated[
        str,
        Field(
            description="Mask image for all frames, or a folder of masks named as the visible"
            " frames or by frame number; replaces the source."
        ),
    ] = ""
    box: Annotated[
        str,
        Field(
            description="Boxes around objects to emphasise, left,top,width,height in pixels of the"
            " visible image, several separated by semicolons; replace file and source."
        ),
        AfterValidator(_checked),
    ] = ""
    hold_s: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            description="How long a live mask stays in force without a newer one, in seconds;"
            " 0: no limit.",
        ),
    ] = 2.0
