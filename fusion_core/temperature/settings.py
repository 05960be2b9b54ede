"""Settings of the temperature module; the configuration holds them as its block ``temperature``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fusion_core.runtime.settings import Settings, SplitNames

_Celsius = Annotated[float, Field(ge=-100, le=3000)]
_Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class TemperatureConfig(Settings):
    """How temperatures of a radiometric camera are measured, and what raises an alarm."""

    emissivity: Annotated[
        Annotated[float, Field(gt=0, le=1)] | Literal["auto"],
        Field(
            description="Emissivity of the objects, above 0 to 1; auto: as the camera assumed, or 1"
            " where it does not say."
        ),
    ] = "auto"
    reflected_c: Annotated[
        _Celsius | Literal["auto"],
        Field(
            description="Apparent temperature that the objects reflect, in degrees Celsius; auto:"
            " as the camera assumed, or 20."
        ),
    ] = "auto"
    distance_m: Annotated[
        Annotated[float, Field(ge=0, le=10_000)] | Literal["auto"],
        Field(
            description="Distance to the objects through the air, in metres; auto: as the camera"
            " assumed, or 0."
        ),
    ] = "auto"
    air_c: Annotated[
        _Celsius | Literal["auto"],
        Field(
            description="Temperature of the air in degrees Celsius; auto: as the camera assumed,"
            " or 20."
        ),
    ] = "auto"
    humidity: Annotated[
        _Share | Literal["auto"],
        Field(
            description="Relative humidity of the air, from 0 to 1; auto: as the camera assumed,"
            " or 0.5."
        ),
    ] = "auto"
    percentile: Annotated[
        float,
        Field(
            ge=0, le=100, description="Percentile of an object's own pixels that is given with it."
        ),
    ] = 95.0
    alarm_above_c: Annotated[
        _Celsius | Literal["none"],
        Field(description="An object hotter than this raises an alarm, in degrees Celsius."),
    ] = "none"
    alarm_below_c: Annotated[
        _Celsius | Literal["none"],
        Field(description="An object colder than this raises an alarm, in degrees Celsius."),
    ] = "none"
    alarm_by: Annotated[
        Literal["mean", "maximum", "percentile"],
        Field(description="Which of an object's temperatures is compared with the limits."),
    ] = "percentile"
    alarm_hysteresis_k: Annotated[
        float,
        Field(ge=0, le=1000, description="How far inside the limit an alarm ends, in kelvin."),
    ] = 2.0
    alarm_after_s: Annotated[
        float,
        Field(
            ge=0,
            le=3600,
            description="How long a limit has to be crossed before the alarm, in seconds.",
        ),
    ] = 0.5
    alarm_labels: Annotated[
        tuple[str, ...],
        SplitNames,
        Field(description="Classes that raise alarms, separated by commas; empty: all."),
    ] = ()
