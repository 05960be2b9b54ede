"""Settings of the registration module, the block ``registration`` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from fusion_core.runtime.on_off import OnOff


@dataclass(frozen=True)
class RegistrationConfig:
    """Refinement of the calibration while the streams run."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    refine: Annotated[
        Literal["auto", "on", "off"],
        OnOff,
        Field(description="Correct the registration from the images; auto: with a rig file."),
    ] = "auto"
    period_s: Annotated[
        float, Field(gt=0, le=60, description="Time between two measurements, in seconds.")
    ] = 0.5
    range_px: Annotated[
        float,
        Field(
            gt=0,
            le=100,
            description="Largest correction at the corners, in pixels of the visible image.",
        ),
    ] = 30.0
    rate_px_s: Annotated[
        float,
        Field(gt=0, le=100, description="Fastest change of the correction, in pixels per second."),
    ] = 10.0
    min_confidence: Annotated[
        float,
        Field(ge=0, le=1, description="Confidence below which on_low_confidence applies."),
    ] = 0.6
    on_low_confidence: Annotated[
        Literal["keep_last", "soften", "visible_only"],
        Field(
            description="Output while the confidence is below min_confidence: the last accepted "
            "correction, the same with the thermal image low-pass filtered, or the visible image "
            "alone."
        ),
    ] = "keep_last"
