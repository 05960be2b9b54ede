"""What a fusion network remembers of the scenes it saw, and how it judges them."""

from fusion_core.memory.bank import BankStats, MemoryBank, random_slots, retrieve
from fusion_core.memory.quality import quality_score
from fusion_core.memory.settings import MemoryConfig
from fusion_core.memory.snapshot_manager import SnapshotManager

__all__ = [
    "BankStats",
    "MemoryBank",
    "MemoryConfig",
    "SnapshotManager",
    "quality_score",
    "random_slots",
    "retrieve",
]
