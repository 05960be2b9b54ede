"""Settings of the memory room; the configuration holds them as its block ``memory``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field


@dataclass(frozen=True)
class MemoryConfig:
    """The memory bank across frames and restarts."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    mode: Annotated[
        Literal["frozen", "online"],
        Field(description="online: good frames update the bank; frozen: as trained."),
    ] = "online"
    file: Annotated[
        str, Field(description="Snapshot to restore at start and save to; empty: none.")
    ] = ""
    save_every_s: Annotated[
        float, Field(ge=0, le=86400, description="Period of snapshots in seconds; 0: at end only.")
    ] = 60.0
    momentum: Annotated[
        float, Field(ge=0, le=1, description="Share of a good frame in its slot's update.")
    ] = 0.1
    kappa: Annotated[
        float,
        Field(ge=-3, le=3, description="Good means: score above mean + kappa * std of history."),
    ] = 0.5
