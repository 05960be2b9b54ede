"""How a network is executed on an aligned pair."""

from fusion_core.engine.precision import fast_precision
from fusion_core.engine.runner import FusionRunner
from fusion_core.engine.settings import AdaptConfig
from fusion_core.engine.switching import SwitchingEngine
from fusion_core.engine.torch_engine import Engine, EngineResult, open_bank, pick_device

__all__ = [
    "AdaptConfig",
    "Engine",
    "EngineResult",
    "FusionRunner",
    "SwitchingEngine",
    "fast_precision",
    "open_bank",
    "pick_device",
]
