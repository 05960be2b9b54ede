"""Weather and scene tokens, read from the tokens of a scene prior."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fusion_core.models.blocks.attention import CrossAttention
from fusion_core.models.blocks.joint import BatchMixer

_HIDDEN = 512
_HEADS = 8


class SceneTokens(NamedTuple):
    """Tokens of width ``D`` that condition a network.

    Attributes:
        weather: ``BxQxD``, what degrades the pictures.
        scene: ``BxQxD``, what they show.
        whole: ``BxD``, mean of all tokens of the prior.
    """

    weather: Tensor
    scene: Tensor
    whole: Tensor


class PromptedScene(BatchMixer):
    """Degradation and scene prior extraction (MdaIF, DSPE).

    ``LayerNorm(MLP(tokens))``, one layer of self-attention, then two banks of learned queries read
    the result, one for the weather and one for the scene. How the paper separates the two is not
    given. Without a prior a learned token stands in, in training also for a share of the pictures.

    Args:
        prior: Width of the prior's tokens.
        dim: Width of the tokens returned.
        queries: Tokens per bank.
        dropout: Share of training pictures that see no prior.
    """

    def __init__(self, prior: int, dim: int, queries: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.embed = nn.Sequential(
            nn.Linear(prior, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, dim), nn.LayerNorm(dim)
        )
        self.null = nn.Parameter(torch.randn(1, 1, dim))
        self.norm = nn.LayerNorm(dim)
        self.attention = CrossAttention(dim, _HEADS)
        self.banks = nn.Parameter(torch.randn(2, queries, dim))
        self.readers = nn.ModuleList(CrossAttention(dim, _HEADS) for _ in range(2))

    def forward(self, tokens: Tensor | None, batch: int) -> SceneTokens:
        """Return the scene of ``BxSxC`` tokens, or of none for a batch."""
        embedded = self.null.expand(batch, -1, -1)
        if tokens is not None:
            seen = self.embed(tokens)
            if self.training and self.dropout:
                pictures = torch.empty(batch, 1, 1, device=tokens.device)
                hidden = self.joint.draw(torch.rand_like, pictures) < self.dropout
                seen = torch.where(hidden, self.null.to(seen.dtype), seen)
            embedded = seen
        normed = self.norm(embedded)
        attended = embedded + self.attention(normed, normed)
        weather, scene = (
            bank + reader(bank, attended)
            for bank, reader in zip(
                self.banks[:, None].expand(-1, batch, -1, -1), self.readers, strict=True
            )
        )
        return SceneTokens(weather, scene, attended.mean(1))


class TokenReader(nn.Module):
    """Let every pixel read a few tokens; the pixels gain nothing before training.

    Args:
        channels: Channels of the feature maps.
        dim: Width of the tokens.
        width: Width of queries and keys.
        heads: Heads of the attention.
    """

    def __init__(self, channels: int, dim: int, width: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, width)
        self.key_value = nn.Linear(dim, 2 * width)
        self.out = nn.Linear(width, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Return what ``BxhxwxC`` reads in ``BxQxD`` tokens, same shape."""
        key, value = self.key_value(tokens).chunk(2, dim=-1)
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query(x).flatten(1, 2), key, value)
        )
        # Written out: the fused kernel is slow backwards for so few keys.
        read = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
        out: Tensor = self.out(read.transpose(1, 2).flatten(-2).unflatten(1, x.shape[1:3]))
        return out
