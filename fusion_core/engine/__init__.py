"""How a network is executed on an aligned pair."""

from typing import TYPE_CHECKING

from fusion_core.engine.pair_engine import PairEngine
from fusion_core.engine.result import EngineResult, ExplainedPicture
from fusion_core.engine.runner import FusionRunner
from fusion_core.engine.settings import AdaptConfig, EngineConfig
from fusion_core.engine.switching import SwitchingEngine
from fusion_core.runtime.lazy_names import lazy_names

if TYPE_CHECKING:
    from fusion_core.engine.precision import fast_precision as fast_precision
    from fusion_core.engine.torch_engine import Engine as Engine
    from fusion_core.engine.torch_engine import open_bank as open_bank
    from fusion_core.engine.torch_engine import pick_device as pick_device

__all__ = [
    "AdaptConfig",
    "Engine",
    "EngineConfig",
    "EngineResult",
    "ExplainedPicture",
    "FusionRunner",
    "PairEngine",
    "SwitchingEngine",
    "fast_precision",
    "open_bank",
    "pick_device",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Engine": "torch_engine",
        "fast_precision": "precision",
        "open_bank": "torch_engine",
        "pick_device": "torch_engine",
    },
)
