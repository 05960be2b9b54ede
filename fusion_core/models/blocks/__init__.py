"""Blocks that several fusion networks share."""

from fusion_core.models.blocks.attention import CrossAttention
from fusion_core.models.blocks.encoder import DenseEncoder
from fusion_core.models.blocks.graph import GraphAttention
from fusion_core.models.blocks.heads import BlendHead
from fusion_core.models.blocks.modulation import ChannelModulation
from fusion_core.models.blocks.padding import PadToMultiple

__all__ = [
    "BlendHead",
    "ChannelModulation",
    "CrossAttention",
    "DenseEncoder",
    "GraphAttention",
    "PadToMultiple",
]
