"""Settings of the masks module; the configuration holds them as its block ``mask``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fusion_core.runtime.settings import Settings, SplitNames


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
    hold_s: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            description="How long a live mask stays in force without a newer one, in seconds;"
            " 0: no limit.",
        ),
    ] = 2.0
