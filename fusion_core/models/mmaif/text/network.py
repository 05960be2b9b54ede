"""A small transformer that recovers what a sentence wishes for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.sentences import SPECIAL, WISH_SIZE

_NEAR: Final = 7  # words that are read together at first


@dataclass(frozen=True, slots=True)
class TextConfig:
    """Architecture of a :class:`WishNetwork`.

    Attributes:
        words: The vocabulary, without the special words.
        dim: Width of the tokens, at least the length of a wish.
        blocks: Transformer blocks.
        heads: Heads of the attention.
        longest: Words that are read of a sentence.
    """

    words: tuple[str, ...]
    dim: int = 128
    blocks: int = 3
    heads: int = 4
    longest: int = 95

    def numbers(self) -> dict[str, int]:
        """Return word -> index; padding is 0."""
        return {word: index for index, word in enumerate((*SPECIAL, *self.words))}


class WishNetwork(nn.Module):
    """Words to tokens, and to the wish that they say.

    Args:
        config: Architecture.
    """

    places: Tensor

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        assert config.dim >= WISH_SIZE, f"{config.dim} channels do not hold {WISH_SIZE} values"
        self.config = config
        self.embed = nn.Embedding(len(SPECIAL) + len(config.words), config.dim, padding_idx=0)
        # An adverb is near what it strengthens, a negation before what it denies.
        self.near = nn.Conv1d(config.dim, config.dim, _NEAR, padding=_NEAR // 2)
        self.register_buffer("places", _places(config.longest + 1, config.dim), persistent=False)
        layer = nn.TransformerEncoderLayer(
            config.dim,
            config.heads,
            4 * config.dim,
            dropout=0.0,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.blocks = nn.TransformerEncoder(layer, config.blocks, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(config.dim)
        self.wish = nn.Linear(config.dim, WISH_SIZE)

    def indices(self, sentences: Sequence[Sequence[str]]) -> Tensor:
        """Return ``BxL`` indices: the whole first, then the words, cut and padded.

        Words that are not in the vocabulary count as the unknown one.
        """
        numbers = self.config.numbers()
        none, whole, unknown = (numbers[word] for word in SPECIAL)
        rows = [
            [whole, *(numbers.get(word, unknown) for word in words[: self.config.longest])]
            for words in sentences
        ]
        length = max(map(len, rows))
        padded = [row + [none] * (length - len(row)) for row in rows]
        return torch.tensor(padded, device=self.embed.weight.device)

    def forward(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``BxLxC`` tokens of ``BxL`` indices, and ``BxW`` logits of the wish."""
        x = self.embed(indices)
        x = x + F.gelu(self.near(x.transpose(1, 2)).transpose(1, 2))
        x = x + self.places[: indices.shape[1]].to(x.dtype)
        tokens: Tensor = self.norm(self.blocks(x, src_key_padding_mask=indices == 0))
        logits: Tensor = self.wish(tokens[:, 0])
        return tokens, logits

    def read(self, indices: Tensor) -> Tensor:
        """Return ``BxLxC`` tokens whose first is the wish itself.

        Its first ``WISH_SIZE`` values are those of :meth:`Wish.vector`, in [0, 1]; the others 0.
        """
        tokens, logits = self(indices)
        wish = F.pad(logits.sigmoid(), (0, tokens.shape[-1] - WISH_SIZE))
        return torch.cat([wish[:, None].to(tokens.dtype), tokens[:, 1:]], 1)


def _places(length: int, dim: int) -> Tensor:
    """Return ``LxC`` sines and cosines of the place in the sentence (Vaswani et al. 2017)."""
    rates = torch.exp(-math.log(10_000) / dim * torch.arange(0, dim, 2))
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)
