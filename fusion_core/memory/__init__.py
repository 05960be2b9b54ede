"""The memory bank of a fusion network, its snapshots, and the quality score that updates it."""

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
