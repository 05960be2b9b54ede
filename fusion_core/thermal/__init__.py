"""From a thermal camera's counts to comparable luminance and temperature."""

from fusion_core.thermal.processor import ThermalProcessor
from fusion_core.thermal.settings import ThermalConfig

__all__ = ["ThermalConfig", "ThermalProcessor"]
