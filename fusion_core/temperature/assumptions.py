"""Temperatures under other assumptions about the scene than the camera's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from fusion_core.radiometry.formula import ZERO_CELSIUS_K, corrected
from fusion_core.temperature.settings import TemperatureConfig
from fusion_core.types import Radiometry, ThermalImage

# A camera that gives temperatures and no calibration gives those of black bodies without air. The
# level R1 / R2 and the zero O then cancel; B and F are those of microbolometers at 7.5 to 13 um,
# and the air is the one that the makers' programs assume.
BLACK_BODY: Final = Radiometry(
    emissivity=1.0,
    distance=0.0,
    reflected=20.0 + ZERO_CELSIUS_K,
    air=20.0 + ZERO_CELSIUS_K,
    window=20.0 + ZERO_CELSIUS_K,
    window_transmission=1.0,
    humidity=0.5,
    planck=(15_000.0, 1430.0, 1.0, 0.0, 0.0125),
    alpha=(0.006569, 0.01262),
    beta=(-0.002276, -0.00667),
    x=1.9,
)


class Assumptions:
    """What the settings say about the scene.

    Args:
        config: The settings.
    """

    def __init__(self, config: TemperatureConfig) -> None:
        given: dict[str, float | str] = {
            "emissivity": config.emissivity,
            "distance": config.distance_m,
            "humidity": config.humidity,
            "reflected": _kelvin(config.reflected_c),
            "air": _kelvin(config.air_c),
        }
        self._given: dict[str, Any] = {
            name: value for name, value in given.items() if value != "auto"
        }
        self._last: tuple[ThermalImage, ThermalImage] | None = None

    def apply(self, thermal: ThermalImage) -> ThermalImage:
        """Return a thermal image with the temperatures of these assumptions.

        An image given twice in a row, as when a slower stream is reused, is converted once.
        """
        if thermal.temperature is None or not self._given:
            return thermal
        if self._last is None or self._last[0] is not thermal:
            taken = thermal.radiometry or BLACK_BODY
            wanted = replace(taken, **self._given)
            celsius = corrected(thermal.temperature, taken, wanted)
            self._last = thermal, replace(thermal, temperature=celsius, radiometry=wanted)
        return self._last[1]


def _kelvin(celsius: float | str) -> float | str:
    return celsius if isinstance(celsius, str) else celsius + ZERO_CELSIUS_K
