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
from fusion_core.sentences import UNKNOWN, WISH_SIZE, Wish, degrees_said, split_words

_log = logging.getLogger(__name__)

EMBEDDED_TEXT: Final = FoundationKind(
    "text encoder 'embedded'", load_text, str(SHIPPED), "options.text_weights"
)


class EmbeddedTextEncoder(nn.Module):
    """Reads wishes for fused pictures in English; see :class:`TextEncoder`.

    The first token is the wish itself: :meth:`Wish.vector`, strengths rounded to those that words
    of the sentence stand for, then zeros. The others are the words in
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
        said = [split_words(text) for text in texts]
        indices = network.indices(said)
        tokens = network.read(indices).clone()
        for words, token in zip(said, tokens[:, 0, :WISH_SIZE], strict=True):
            token.copy_(torch.from_numpy(_wish(token, words).vector()))
        return TextCue(tokens, indices != 0)

    def wish(self, text: str) -> Wish:
        """Return what a sentence wishes for, without a warning."""
        network: WishNetwork = self.held.model
        words = split_words(text)
        with torch.no_grad():
            tokens = network.read(network.indices([words]))
        return _wish(tokens[0, 0, :WISH_SIZE], words)

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


def _wish(token: Tensor, words: Sequence[str]) -> Wish:
    """Return the wish in the first values of the first token of a sentence of these words."""
    return Wish.from_vector(token.float().cpu().numpy(), degrees_said(words))
