"""The interface of a text encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fusion_core.models.cues import TextCue


class TextEncoder(Protocol):
    """Makes tokens of sentences."""

    @property
    def dim(self) -> int:
        """Width of the tokens."""

    def encode(self, texts: Sequence[str]) -> TextCue:
        """Return the tokens of ``B`` sentences, ``BxLxC``, and which of them are no padding.

        The first token of each stands for the whole sentence.
        """
