"""Fusion networks as exported files, run without PyTorch."""

from fusion_core.engine.exported.engine import ExportedEngine, trained_bank
from fusion_core.engine.exported.network import ExportedNetwork, exported_file

__all__ = ["ExportedEngine", "ExportedNetwork", "exported_file", "trained_bank"]
