"""Fusion networks behind one interface."""

from fusion_core.models.base import NO_CUES, Cues, Features, Fuser, FuserOutput
from fusion_core.models.checkpoint import load_weights, save_weights
from fusion_core.models.ctrlfuse import CtrlFuse
from fusion_core.models.mdaif import MdaIF
from fusion_core.models.registry import ModelInfo, create_model, list_models, load_model
from fusion_core.models.spec import ModelSpec

__all__ = [
    "NO_CUES",
    "CtrlFuse",
    "Cues",
    "Features",
    "Fuser",
    "FuserOutput",
    "MdaIF",
    "ModelInfo",
    "ModelSpec",
    "create_model",
    "list_models",
    "load_model",
    "load_weights",
    "save_weights",
]
