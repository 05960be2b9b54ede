"""Settings of the priors module; the configuration holds them as its block ``priors``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fusion_core.runtime.settings import Settings


@dataclass(frozen=True)
class PriorsConfig(Settings):
    """When scene priors are renewed, and where large providers find their weights."""

    refresh_s: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            description="Age in seconds at which a prior is renewed; 0: only on scene change and on"
            " request.",
        ),
    ] = 10.0
    timeout_s: Annotated[
        float,
        Field(
            gt=0,
            le=3600,
            description="Time limit of a provider, in seconds; recordings go on without it.",
        ),
    ] = 60.0
    second: Annotated[
        Literal["embedded", "clip", "blip2", "none"],
        Field(
            description="Another provider that is asked as well, and only says where it disagrees."
        ),
    ] = "none"
    weights: Annotated[
        str,
        Field(
            description="Folder or hub name of the weights of clip or blip2; empty: their default."
        ),
    ] = ""
