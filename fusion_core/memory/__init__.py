"""The memory bank of a fusion network, its snapshots, and the quality score that updates it."""

from typing import TYPE_CHECKING

from fusion_core.memory.bank import MemoryBank
from fusion_core.memory.quality import quality_score
from fusion_core.memory.settings import MemoryConfig
from fusion_core.memory.snapshot_manager import SnapshotManager
from fusion_core.memory.statistics import HISTORY, BankStats
from fusion_core.runtime.lazy_names import lazy_names

if TYPE_CHECKING:
    from fusion_core.memory.retrieval import random_slots as random_slots
    from fusion_core.memory.retrieval import retrieve as retrieve

__all__ = [
    "HISTORY",
    "BankStats",
    "MemoryBank",
    "MemoryConfig",
    "SnapshotManager",
    "quality_score",
    "random_slots",
    "retrieve",
]

__getattr__ = lazy_names(__name__, {"random_slots": "retrieval", "retrieve": "retrieval"})
