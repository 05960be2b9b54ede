"""TC-MoA: adapters on a frozen masked autoencoder fuse pictures of three tasks."""

from fusion_core.models.tcmoa.config import (
    PAPER_BASE,
    PAPER_LARGE,
    ROBOT,
    TCMoAConfig,
    TCMoAOptions,
)
from fusion_core.models.tcmoa.network import Decided, TCMoA

__all__ = [
    "PAPER_BASE",
    "PAPER_LARGE",
    "ROBOT",
    "Decided",
    "TCMoA",
    "TCMoAConfig",
    "TCMoAOptions",
]
