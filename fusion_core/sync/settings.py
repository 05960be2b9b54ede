"""Settings of the sync module; the configuration holds them as its block ``sync``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from fusion_core.runtime.settings import Settings

MOST_OFFSET_MS: Final = 1e13
"""Largest offset of a stream: from a clock that starts at boot to one that counts from 1970, with
a wide margin."""


@dataclass(frozen=True)
class SyncConfig(Settings):
    """Pairing of the two streams by capture stamp."""

    master: Annotated[
        Literal["visible", "thermal"],
        Field(description="Stream whose frames set the output rate."),
    ] = "visible"
    max_skew_ms: Annotated[
        float, Field(ge=0, le=1000, description="Largest skew of a pair, in milliseconds.")
    ] = 25.0
    visible_offset_ms: Annotated[
        float,
        Field(
            ge=-MOST_OFFSET_MS,
            le=MOST_OFFSET_MS,
            description="Added to visible stamps, in milliseconds.",
        ),
    ] = 0.0
    thermal_offset_ms: Annotated[
        Annotated[float, Field(ge=-MOST_OFFSET_MS, le=MOST_OFFSET_MS)] | Literal["auto"],
        Field(
            description="Added to thermal stamps, in milliseconds; auto: measured once at the start"
            " where the clocks differ."
        ),
    ] = 0.0
    max_age_ms: Annotated[
        float,
        Field(
            ge=0,
            le=5000,
            description="Age up to which the slower stream's last frame is used again, in ms.",
        ),
    ] = 150.0
    wait_ms: Annotated[
        float,
        Field(
            ge=0,
            le=1000,
            description="How long a master frame waits for its partner, in ms of stamp time.",
        ),
    ] = 50.0
    on_missing_thermal: Annotated[
        Literal["hold", "visible_only", "skip"],
        Field(description="Output while the thermal stream is missing."),
    ] = "visible_only"
    on_missing_visible: Annotated[
        Literal["hold", "thermal_only", "skip"],
        Field(description="Output while the visible stream is missing."),
    ] = "thermal_only"
