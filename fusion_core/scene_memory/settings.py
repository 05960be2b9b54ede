"""Settings of the scene memory; the configuration holds them as its block ``scene_memory``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fusion_core.runtime.settings import Settings


@dataclass(frozen=True)
class SceneMemoryConfig(Settings):
    """What was seen of a place before smoke, darkness or glare hid it."""

    mode: Annotated[
        Literal["off", "on"],
        Field(description="on: what is hidden now is shown as it was last seen, and marked."),
    ] = "on"
    places: Annotated[
        int, Field(ge=1, le=64, description="Places kept; the one not seen for longest goes.")
    ] = 4
    max_age_s: Annotated[
        float,
        Field(gt=0, le=86400, description="Age in seconds at which what was seen has faded out."),
    ] = 600.0
    tint: Annotated[
        bool, Field(description="Colour what is recalled, so that an operator sees it.")
    ] = False
