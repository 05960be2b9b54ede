"""Text encoders: sentences to tokens, behind one interface."""

from fusion_core.models.mmaif.text.embedded import EmbeddedTextEncoder
from fusion_core.models.mmaif.text.opening import TEXT_ENCODERS, open_text_encoder
from fusion_core.models.mmaif.text.protocol import TextEncoder
from fusion_core.models.mmaif.text.transformers_text import TransformersTextEncoder

__all__ = [
    "TEXT_ENCODERS",
    "EmbeddedTextEncoder",
    "TextEncoder",
    "TransformersTextEncoder",
    "open_text_encoder",
]
