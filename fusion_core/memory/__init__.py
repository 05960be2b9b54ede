"""What a fusion network remembers of the scenes it saw, and how it judges them."""

from fusion_core.memory.bank import BankStats, MemoryBank, random_slots, retrieve
from fusion_core.memory.judge import judge
from fusion_core.memory.keeper import SnapshotKeeper
from fusion_core.memory.settings import MemoryConfig

__all__ = [
    "BankStats",
    "MemoryBank",
    "MemoryConfig",
    "SnapshotKeeper",
    "judge",
    "random_slots",
    "retrieve",
]
