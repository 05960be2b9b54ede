"""Text encoders: sentences to tokens, behind one interface."""

from fusion_core.models.mmaif.text.embedded import EmbeddedTextEncoder
from fusion_core.models.mmaif.text.protocol import TextEncoder

__all__ = ["EmbeddedTextEncoder", "TextEncoder"]
