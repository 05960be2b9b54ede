"""One block of the latent transformer."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.blocks.residual import ChannelNorm
from fusion_core.models.mmaif.attention import GridAttention, TextAttention
from fusion_core.models.mmaif.config import MMAIFConfig
from fusion_core.models.mmaif.experts import Chosen, GatedExperts

Grid = tuple[int, int]


class Condition(NamedTuple):
    """What tells all blocks what is wanted.

    Attributes:
        vector: ``BxC`` text, task and, of a flow, time.
        shared: ``Bx6C`` modulation that all blocks share.
        text: ``BxLxT`` tokens of the text.
        weight: ``BxL`` in [0, 1], how much each of them is there.
    """

    vector: Tensor
    shared: Tensor
    text: Tensor
    weight: Tensor


class NafBlock(nn.Module):
    """Simple gates and channel attention (Chen et al. 2022); adds nothing at first.

    Args:
        width: Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(width)
        self.enter = nn.Conv2d(width, 2 * width, 1)
        self.local = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.attention = nn.Conv2d(width, width, 1)
        self.leave = nn.Conv2d(width, width, 1)
        self.norm2 = ChannelNorm(width)
        self.expand = nn.Conv2d(width, 2 * width, 1)
        self.shrink = nn.Conv2d(width, width, 1)
        self.beta = nn.Parameter(torch.zeros(width, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``BxCxhxw`` of the same shape."""
        y = _gate(self.local(self.enter(self.norm1(x))))
        y = self.leave(y * self.attention(y.mean((2, 3), keepdim=True)))
        x = x + self.beta.to(y) * y
        y = self.shrink(_gate(self.expand(self.norm2(x))))
        out: Tensor = x + self.gamma.to(y) * y
        return out


class Block(nn.Module):
    """Positions, convolution, attention, text and experts, in this order (MMAIF).

    Each block adds a low-rank part of its own to the modulation that all share.

    Args:
        config: Architecture.
        first: There is no block before.
    """

    def __init__(self, config: MMAIFConfig, *, first: bool) -> None:
        super().__init__()
        c, width = config, config.width
        self.positions = nn.Parameter(torch.zeros(1, width, c.positions, c.positions))
        self.convolution = NafBlock(width) if c.convolution else None
        self.attention = GridAttention(
            width, c.heads, rope=c.rope, residual=c.value_residual and not first
        )
        self.text = TextAttention(width, c.text, c.heads)
        self.experts = GatedExperts(width, c.hidden, c.experts, c.chosen)
        self.down = nn.Linear(width, c.rank)
        self.up = nn.Linear(c.rank, 6 * width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(
        self, x: Tensor, grid: Grid, told: Condition, former: Tensor | None
    ) -> tuple[Tensor, Tensor, Chosen]:
        """Return ``BxNxC`` of ``BxNxC`` tokens, the values, and which experts worked."""
        place = F.interpolate(self.positions, grid, mode="bilinear", align_corners=False)
        x = x + place.flatten(2).transpose(1, 2).to(x)
        if self.convolution is not None:
            plane = x.transpose(1, 2).reshape(len(x), -1, *grid)
            x = self.convolution(plane).flatten(2).transpose(1, 2)
        own = self.up(self.down(F.silu(told.vector)))
        parts = (told.shared + own)[:, None].chunk(6, -1)
        read, values = self.attention(_modulated(x, parts[0], parts[1]), grid, former)
        x = x + parts[2] * read
        x = x + self.text(x, told.text, told.weight)
        made, chosen = self.experts(_modulated(x, parts[3], parts[4]))
        return x + parts[5] * made, values, chosen


def _modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift


def _gate(x: Tensor) -> Tensor:
    first, second = x.chunk(2, 1)
    return first * second
