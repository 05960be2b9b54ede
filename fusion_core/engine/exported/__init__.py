"""Fusion networks as exported files, run without PyTorch."""

from fusion_core.engine.exported.engine import ExportedEngine, trained_bank
from fusion_core.engine.exported.network import (
    ExportedNetwork,
    exported_file,
    exported_models,
)

__all__ = ["ExportedEngine", "ExportedNetwork", "exported_file", "exported_models", "trained_bank"]
