"""Settings of the masks module; the configuration holds them as its block ``mask``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field


@dataclass(frozen=True)
class MaskConfig:
    """What the result of a network that takes masks shall favour."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    source: Annotated[
        Literal["none", "saliency", "detector"],
        Field(
            description="What is favoured while no mask is given: nothing, what is clearly hotter"
            " than its surround, or what the detector found in the frame before."
        ),
    ] = "saliency"
    labels: Annotated[
        str,
        Field(description="Classes of the detector to favour, separated by commas; empty: all."),
    ] = ""
    file: Annotated[
        str,
        Field(
            description="Mask image for all frames, or a folder of masks named as the visible"
            " frames or by frame number; wins over the source."
        ),
    ] = ""
    hold_s: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            description="How long a mask given live counts when no newer one comes; 0: for ever.",
        ),
    ] = 2.0
    gain: Annotated[
        float, Field(ge=0, le=10, description="How strongly what is marked is favoured.")
    ] = 1.0
    segmenter_weights: Annotated[
        str,
        Field(
            description="Folder or hub name of SAM's weights, for networks with SAM; empty: the"
            " default."
        ),
    ] = ""
