"""Text encoders by name."""

from __future__ import annotations

from typing import Final

from fusion_core.errors import UsageError
from fusion_core.models.mmaif.text.embedded import EmbeddedTextEncoder
from fusion_core.models.mmaif.text.protocol import TextEncoder
from fusion_core.models.mmaif.text.transformers_text import TransformersTextEncoder

TEXT_ENCODERS: Final = ("embedded", "t5", "clip-text", "minilm")


def open_text_encoder(name: str, weights: str = "") -> TextEncoder:
    """Return a text encoder; its weights are read at the first use.

    Args:
        name: ``embedded``, or a family of transformers': ``t5``, ``clip-text`` or ``minilm``
            (all-MiniLM-L6-v2, which the extra ``text`` installs with its weights).
        weights: Folder, file or hub name; the encoder's default when empty.

    Raises:
        UsageError: There is no text encoder of this name.
    """
    if name not in TEXT_ENCODERS:
        raise UsageError(f"text encoder {name!r}: unknown; known: {', '.join(TEXT_ENCODERS)}")
    if name == "embedded":
        return EmbeddedTextEncoder(weights)
    return TransformersTextEncoder(name, weights)
