"""Codecs: pictures to latents and back, behind one interface."""

from fusion_core.models.mmaif.codec.diffusers_codec import DiffusersCodec
from fusion_core.models.mmaif.codec.frozen import EmbeddedCodec, FrozenCodec
from fusion_core.models.mmaif.codec.opening import CODECS, open_codec
from fusion_core.models.mmaif.codec.protocol import LatentCodec

__all__ = ["CODECS", "DiffusersCodec", "EmbeddedCodec", "FrozenCodec", "LatentCodec", "open_codec"]
