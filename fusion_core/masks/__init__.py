"""Masks of what a fusion network shall favour."""

from fusion_core.masks.provider import MaskProvider
from fusion_core.masks.regions import hot_regions
from fusion_core.masks.settings import MaskConfig

__all__ = ["MaskConfig", "MaskProvider", "hot_regions"]
