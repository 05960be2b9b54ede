"""Fusion networks behind one interface."""

from fusion_core.models.base import Fuser
from fusion_core.models.checkpoint import load_weights, save_weights
from fusion_core.models.ctrlfuse import CtrlFuse
from fusion_core.models.cues import NO_CUES, Cues, PromptEdit, TextCue
from fusion_core.models.features import Features
from fusion_core.models.luma import LumaFuser
from fusion_core.models.mdaif import MdaIF
from fusion_core.models.outputs import FuserOutput, LumaOutput
from fusion_core.models.registry import (
    ModelInfo,
    create_model,
    find_models,
    list_models,
    load_model,
    model_options,
)
from fusion_core.models.spec import ModelSpec

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
