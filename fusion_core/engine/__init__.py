"""How a network is executed on an aligned pair."""

from fusion_core.engine.torch_engine import Engine, EngineResult, open_bank, pick_device

__all__ = ["Engine", "EngineResult", "open_bank", "pick_device"]
