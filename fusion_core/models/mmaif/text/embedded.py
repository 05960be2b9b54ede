"""The text encoder that ships."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from fusion_core.foundation import FoundationKind, FrozenModel
from fusion_core.models.cues import TextCue
from fusion_core.models.mmaif.text.network import WishNetwork
from fusion_core.models.mmaif.text.weights import SHIPPED, load_text
from fusion_core.sentences import UNKNOWN, WISH_SIZE, Wish, split_words

_log = logging.getLogger(__name__)

EMBEDDED_TEXT: Final = FoundationKind(
    "text encoder 'embedded'", load_text, str(SHIPPED), "options.text_weights"
)


class EmbeddedTextEncoder(nn.Module):
    """Reads wishes for fused pictures in English; see :class:`TextEncoder`.

    The first token is the wish itself: :meth:`Wish.vector`, strengths rounded to those that exist,
    then zeros. The others are the words in
    their context. Words that it does not know say nothing, and are named in a warning.

    Args:
        weights: File that `fusion train --model mmaif-text` wrote; the one that ships when empty.
    """

    dim: Final = 128

    def __init__(self, weights: str = "") -> None:
        super().__init__()
        self.held = FrozenModel(EMBEDDED_TEXT, weights)

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextCue:
        """Return ``BxLx128`` tokens of ``B`` sentences.

        Raises:
            WeightsError: The weights are missing, torn or of another encoder.
        """
        network: WishNetwork = self.held.model
        for text in texts:
            self._warn(text)
        indices = network.indices([split_words(text) for text in texts])
        tokens = network.read(indices).clone()
        for token in tokens[:, 0, :WISH_SIZE]:
            token.copy_(torch.from_numpy(_wish(token).vector()))
        return TextCue(tokens, indices != 0)

    def wish(self, text: str) -> Wish:
        """Return what a sentence wishes for, without a warning."""
        network: WishNetwork = self.held.model
        with torch.no_grad():
            tokens = network.read(network.indices([split_words(text)]))
        return _wish(tokens[0, 0, :WISH_SIZE])

    def unknown_words(self, text: str) -> tuple[str, ...]:
        """Return the words of a sentence that it does not know, each once, in their order."""
        network: WishNetwork = self.held.model
        known = {*network.config.words, UNKNOWN}
        return tuple(dict.fromkeys(word for word in split_words(text) if word not in known))

    def _warn(self, text: str) -> None:
        network: WishNetwork = self.held.model
        if unknown := self.unknown_words(text):
            named = ", ".join(repr(word) for word in unknown)
            _log.warning("text %r: %s: unknown, says nothing; use other words", text, named)
        if (words := len(split_words(text))) > network.config.longest:
            _log.warning(
                "text of %d words: only the first %d are read", words, network.config.longest
            )


def _wish(token: Tensor) -> Wish:
    """Return the wish in the first values of a sentence's first token."""
    return Wish.from_vector(token.float().cpu().numpy())
