"""Codecs: pictures to latents and back, behind one interface."""

from fusion_core.models.mmaif.codec.frozen import EmbeddedCodec, FrozenCodec
from fusion_core.models.mmaif.codec.protocol import LatentCodec

__all__ = ["EmbeddedCodec", "FrozenCodec", "LatentCodec"]
