"""Settings of how the engine adapts to the scene prior; the configuration's block ``adapt``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field


@dataclass(frozen=True)
class AdaptConfig:
    """What the scene prior changes: how much each source counts, and which model runs."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    sources: Annotated[
        bool,
        Field(
            description="A source that the prior calls noisy, striped, glaring or flat counts less"
            " or is corrected; for models that do not use the prior themselves."
        ),
    ] = True
    clean: Annotated[str, Field(description="Model auto: the model of clear scenes.")] = "m2pn-edge"
    degraded: Annotated[str, Field(description="Model auto: the model of degraded scenes.")] = (
        "mdaif"
    )
    enter: Annotated[
        float,
        Field(ge=0, le=1, description="Model auto: probability from which a scene is degraded."),
    ] = 0.6
    leave: Annotated[
        float,
        Field(ge=0, le=1, description="Model auto: probability below which it is clear again."),
    ] = 0.45
    fade_frames: Annotated[
        int,
        Field(
            ge=1,
            le=1000,
            description="Frames over which one model replaces the other, and, for models that use"
            " the prior, one prior of a scene the next.",
        ),
    ] = 15
