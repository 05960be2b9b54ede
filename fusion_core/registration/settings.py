"""Settings of the registration module; the configuration's block ``registration``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fusion_core.runtime.on_off import OnOff
from fusion_core.runtime.settings import Settings


@dataclass(frozen=True)
class RegistrationConfig(Settings):
    """Refinement of the calibration while the streams run."""

    refine: Annotated[
        Literal["auto", "on", "off"],
        OnOff,
        Field(
            description="Correct the registration from the images; auto: on with a rig file, "
            "off without one."
        ),
    ] = "auto"
    range_px: Annotated[
        float,
        Field(
            gt=0,
            le=100,
            description="Largest correction at the corners, in pixels of the visible image.",
        ),
    ] = 30.0
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
