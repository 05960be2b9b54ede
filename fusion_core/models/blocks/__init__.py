"""Blocks that several fusion networks share."""

from fusion_core.models.blocks.attention import CrossAttention
from fusion_core.models.blocks.encoder import DenseEncoder
from fusion_core.models.blocks.experts import (
    ExpertMixture,
    Prototypes,
    RestoringExpert,
    SceneGuidance,
)
from fusion_core.models.blocks.gradient_dense import GradientDenseBlock
from fusion_core.models.blocks.graph import GraphAttention
from fusion_core.models.blocks.heads import (
    AffineHead,
    BlendHead,
    FineAffineHead,
    TanhHead,
    apply_maps,
)
from fusion_core.models.blocks.modulation import ChannelModulation, convolve_mapped
from fusion_core.models.blocks.moments import channel_means, channel_moments, runs_alone
from fusion_core.models.blocks.object_prompts import (
    ObjectPromptEncoder,
    Objects,
    Prompts,
    View,
)
from fusion_core.models.blocks.padding import PadToMultiple
from fusion_core.models.blocks.prompt_fusion import PromptSemanticFusion, Window
from fusion_core.models.blocks.reference_prompts import (
    ReferencePromptEncoders,
)
from fusion_core.models.blocks.residual import ChannelNorm, ResidualBlock
from fusion_core.models.blocks.scene import PromptedScene, SceneTokens
from fusion_core.models.blocks.transformer import MiTConfig, MiTEncoder

__all__ = [
    "AffineHead",
    "BlendHead",
    "ChannelModulation",
    "ChannelNorm",
    "CrossAttention",
    "DenseEncoder",
    "ExpertMixture",
    "FineAffineHead",
    "GradientDenseBlock",
    "GraphAttention",
    "MiTConfig",
    "MiTEncoder",
    "ObjectPromptEncoder",
    "Objects",
    "PadToMultiple",
    "PromptSemanticFusion",
    "PromptedScene",
    "Prompts",
    "Prototypes",
    "ReferencePromptEncoders",
    "ResidualBlock",
    "RestoringExpert",
    "SceneGuidance",
    "SceneTokens",
    "TanhHead",
    "View",
    "Window",
    "apply_maps",
    "channel_means",
    "channel_moments",
    "convolve_mapped",
    "runs_alone",
]
