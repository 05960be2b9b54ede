"""Settings of the priors room; the configuration holds them as its block ``priors``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field


@dataclass(frozen=True)
class PriorsConfig:
    """When scene priors are renewed, and where large providers find their weights."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    refresh_s: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            description="Age in seconds at which a prior is renewed; 0: on change and request.",
        ),
    ] = 10.0
    change: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="Scene change: a histogram has moved by this share of its range since the"
            " prior's pair.",
        ),
    ] = 0.1
    confirm_frames: Annotated[
        int, Field(ge=1, le=1000, description="Frames in a row that must show a scene change.")
    ] = 5
    timeout_s: Annotated[
        float,
        Field(
            gt=0,
            le=3600,
            description="A provider that takes longer is reported; a recording goes on without it.",
        ),
    ] = 60.0
    weights: Annotated[
        str,
        Field(
            description="Folder or hub name of the weights of clip or blip2; empty: their default."
        ),
    ] = ""
    question: Annotated[
        str, Field(description="What blip2 is asked about the picture; empty: its default.")
    ] = ""
