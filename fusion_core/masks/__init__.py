"""Where the masks come from that tell a fusion network what matters."""

from fusion_core.masks.regions import hot_regions

__all__ = ["hot_regions"]
