"""Settings of the sources; the configuration holds them as its block ``source``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from fusion_core.runtime.settings import Settings


@dataclass(frozen=True)
class SourceConfig(Settings):
    """What the cameras send."""

    bracket: Annotated[
        int,
        Field(
            ge=1,
            le=3,
            description="Exposures that the visible camera takes in turn, which are merged before"
            " fusion; 1: it does not.",
        ),
    ] = 1
    bracket_model: Annotated[
        str,
        Field(description="Model of task mef that merges them; auto: the first that is installed."),
    ] = "auto"
