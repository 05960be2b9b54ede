"""Pairing of the two streams by capture stamp."""

from fusion_core.sync.clocks import ClockMonitor
from fusion_core.sync.settings import SyncConfig
from fusion_core.sync.synchronizer import CAUSES, Synchronizer

__all__ = ["CAUSES", "ClockMonitor", "SyncConfig", "Synchronizer"]
