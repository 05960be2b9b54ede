"""Fusion networks behind one interface."""

from typing import TYPE_CHECKING

from fusion_core.models.features import Features
from fusion_core.runtime.lazy_names import lazy_names

if TYPE_CHECKING:
    from fusion_core.models.base import Fuser as Fuser
    from fusion_core.models.checkpoint import load_weights as load_weights
    from fusion_core.models.checkpoint import save_weights as save_weights
    from fusion_core.models.ctrlfuse import CtrlFuse as CtrlFuse
    from fusion_core.models.cues import NO_CUES as NO_CUES
    from fusion_core.models.cues import Cues as Cues
    from fusion_core.models.cues import PromptEdit as PromptEdit
    from fusion_core.models.cues import TextCue as TextCue
    from fusion_core.models.luma import LumaFuser as LumaFuser
    from fusion_core.models.mdaif import MdaIF as MdaIF
    from fusion_core.models.outputs import FuserOutput as FuserOutput
    from fusion_core.models.outputs import LumaOutput as LumaOutput
    from fusion_core.models.registry import ModelInfo as ModelInfo
    from fusion_core.models.registry import create_model as create_model
    from fusion_core.models.registry import find_models as find_models
    from fusion_core.models.registry import list_models as list_models
    from fusion_core.models.registry import load_model as load_model
    from fusion_core.models.registry import model_options as model_options
    from fusion_core.models.spec import ModelSpec as ModelSpec

__all__ = [
    "NO_CUES",
    "CtrlFuse",
    "Cues",
    "Features",
    "Fuser",
    "FuserOutput",
    "LumaFuser",
    "LumaOutput",
    "MdaIF",
    "ModelInfo",
    "ModelSpec",
    "PromptEdit",
    "TextCue",
    "create_model",
    "find_models",
    "list_models",
    "load_model",
    "load_weights",
    "model_options",
    "save_weights",
]

__getattr__ = lazy_names(
    __name__,
    {
        "CtrlFuse": "ctrlfuse",
        "Cues": "cues",
        "Fuser": "base",
        "FuserOutput": "outputs",
        "LumaFuser": "luma",
        "LumaOutput": "outputs",
        "MdaIF": "mdaif",
        "ModelInfo": "registry",
        "ModelSpec": "spec",
        "NO_CUES": "cues",
        "PromptEdit": "cues",
        "TextCue": "cues",
        "create_model": "registry",
        "find_models": "registry",
        "list_models": "registry",
        "load_model": "registry",
        "load_weights": "checkpoint",
        "model_options": "registry",
        "save_weights": "checkpoint",
    },
)
