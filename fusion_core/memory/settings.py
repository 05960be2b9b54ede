"""Settings of the memory module; the configuration holds them as its block ``memory``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fusion_core.runtime.settings import Settings


@dataclass(frozen=True)
class MemoryConfig(Settings):
    """The memory bank across frames and restarts."""

    mode: Annotated[
        Literal["frozen", "online"],
        Field(description="frozen: the bank as trained; online: good frames update it."),
    ] = "frozen"
    file: Annotated[
        str,
        Field(
            description="Snapshot to restore at start and save to, the places of the scene memory"
            " beside it as FILE.places; empty: none."
        ),
    ] = ""
    save_every_s: Annotated[
        float, Field(ge=0, le=86400, description="Period of snapshots in seconds; 0: at end only.")
    ] = 60.0
