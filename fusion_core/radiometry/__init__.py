"""From a thermal camera's signal to temperatures, and to those that other assumptions give."""

from fusion_core.radiometry.formula import air_transmission, corrected, radiance, temperatures

__all__ = ["air_transmission", "corrected", "radiance", "temperatures"]
