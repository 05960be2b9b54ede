"""Codecs by name."""

from __future__ import annotations

from typing import Final

from fusion_core.errors import UsageError
from fusion_core.models.mmaif.codec.diffusers_codec import DiffusersCodec
from fusion_core.models.mmaif.codec.frozen import EmbeddedCodec, FrozenCodec

CODECS: Final = ("embedded", "kl", "tiny", "cosmos")


def open_codec(name: str, weights: str = "") -> FrozenCodec:
    """Return a codec; its weights are read at the first use.

    Args:
        name: ``embedded`` (TAEF2's architecture), or a class of autoencoders of diffusers: ``kl``,
            ``tiny`` or ``cosmos``.
        weights: Folder, file or hub name; the codec's default when empty.

    Raises:
        UsageError: There is no codec of this name.
    """
    if name not in CODECS:
        raise UsageError(f"codec {name!r}: unknown; known: {', '.join(CODECS)}")
    return EmbeddedCodec(weights) if name == "embedded" else DiffusersCodec(name, weights)
