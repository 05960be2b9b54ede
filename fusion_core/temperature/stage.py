"""Temperatures as a stage of the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fusion_core.temperature.alarms import AlarmMonitor
from fusion_core.temperature.assumptions import Assumptions
from fusion_core.temperature.objects import object_heat
from fusion_core.temperature.settings import TemperatureConfig
from fusion_core.types import Alarm, AlignedPair, Detection, ThermalImage


class TemperatureStage:
    """Measures objects, where the thermal camera measures.

    Args:
        config: The settings.
    """

    def __init__(self, config: TemperatureConfig) -> None:
        self._percentile = config.percentile
        self._assumptions = Assumptions(config)
        self._monitor = AlarmMonitor(config)
        self._alarms: tuple[Alarm, ...] = ()

    @property
    def has_limits(self) -> bool:
        """Whether any temperature can raise an alarm."""
        return self._monitor.has_limits

    def assume(self, thermal: ThermalImage) -> ThermalImage:
        """Return a thermal image with the temperatures that the settings' assumptions give."""
        return self._assumptions.apply(thermal)

    def measure(
        self, detections: Sequence[Detection], aligned: AlignedPair
    ) -> tuple[tuple[Detection, ...], tuple[Alarm, ...]]:
        """Return objects with their temperatures, and the alarms that are on.

        Args:
            detections: Objects of the picture.
            aligned: The pair in which they were found.
        """
        measured = tuple(self._measured(found, aligned) for found in detections)
        self._alarms = self._monitor.update(aligned.stamp_ns, measured)
        return measured, self._alarms

    def status(self) -> dict[str, Any]:
        """Return the alarms that are on, and how many there have been; empty without limits."""
        if not self.has_limits:
            return {}
        return {"alarms": self._alarms, "raised": self._monitor.raised}

    def _measured(self, found: Detection, aligned: AlignedPair) -> Detection:
        heat = object_heat(aligned, found.box, self._percentile)
        return found if heat is None else replace(found, temperature=heat.mean, heat=heat)
