"""Temperatures of objects: the scene's emissivity and air, an object's own pixels, alarms."""

from fusion_core.temperature.settings import TemperatureConfig
from fusion_core.temperature.stage import TemperatureStage

__all__ = ["TemperatureConfig", "TemperatureStage"]
