"""Where the masks come from that tell a fusion network what matters."""

from fusion_core.masks.keeper import MaskKeeper
from fusion_core.masks.regions import hot_regions
from fusion_core.masks.settings import MaskConfig

__all__ = ["MaskConfig", "MaskKeeper", "hot_regions"]
