"""Text encoders of the package transformers, from a folder or the local cache of the hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import nn

from fusion_core.foundation import FOUNDATIONS, FrozenModel, packaged_weights
from fusion_core.models.cues import TextCue

_LONGEST: Final = 77  # tokens; CLIP reads no more


class TransformersTextEncoder(nn.Module):
    """A frozen text encoder of transformers; see :class:`TextEncoder`.

    The first token is the mean of the others, which stands for the sentence.

    Args:
        kind: ``t5``, ``clip-text`` or ``minilm``.
        weights: Folder or hub name; the kind's default when empty.
    """

    def __init__(self, kind: str, weights: str = "") -> None:
        super().__init__()
        self.held = FrozenModel(FOUNDATIONS[kind], weights)
        self._tokenizer: Any = None

    @property
    def dim(self) -> int:
        """Width of the tokens."""
        return int(self.held.model.config.hidden_size)

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> TextCue:
        """Return ``BxLxC`` tokens of ``B`` sentences.

        Raises:
            MissingExtraError: transformers is not installed.
            WeightsError: The weights or the tokenizer are not on this machine.
        """
        model = self.held.model
        read = self._read(list(texts)).to(model.device)
        mask = read["attention_mask"].bool()
        words = model(input_ids=read["input_ids"], attention_mask=read["attention_mask"])
        tokens = words.last_hidden_state
        weight = mask[..., None].to(tokens.dtype)
        mean = (tokens * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)
        return TextCue(torch.cat([mean, tokens], 1), torch.cat([mask[:, :1], mask], 1))

    def _read(self, texts: list[str]) -> Any:  # noqa: ANN401 - a BatchEncoding
        kind, weights = self.held.kind, packaged_weights(self.held.weights)
        if self._tokenizer is None:
            self._tokenizer = kind.read(weights, lambda: _tokenizer(weights))
        return self._tokenizer(
            texts, padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt"
        )


def _tokenizer(weights: str) -> Any:  # noqa: ANN401 - of the encoder's own class
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(weights, local_files_only=True)
