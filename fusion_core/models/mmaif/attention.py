"""Attention among tokens of a grid, and from them to a text."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.blocks.constants import kept_for_sizes

_BASE = 10000.0
_LEAST = 1e-4
_EQUAL = 0.0  # a sigmoid's logit of one half


@kept_for_sizes(16)
def rotation(rows: int, columns: int, width: int) -> tuple[Tensor, Tensor]:
    """Return cosine and sine ``N x width/2`` of the places of a grid, row by row.

    The first half of the angles turns with the row, the other with the column, each by a geometric
    row of frequencies (Su et al. 2021, in two dimensions).

    Args:
        rows: Rows of the grid.
        columns: Its columns.
        width: Channels of a head, a multiple of four.
    """
    frequency = _BASE ** (-torch.arange(width // 4) / (width // 4))
    down = torch.arange(rows)[:, None] * frequency
    right = torch.arange(columns)[:, None] * frequency
    angles = torch.cat(
        (
            down[:, None].expand(-1, columns, -1),
            right[None].expand(rows, -1, -1),
        ),
        -1,
    ).flatten(0, 1)
    return angles.cos(), angles.sin()


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Return ``...xNxC`` with the channels ``i`` and ``i + C/2`` turned by the place's angles."""
    cosine, sine = (part.to(x) for part in turn)
    first, second = x.chunk(2, -1)
    return torch.cat((first * cosine - second * sine, first * sine + second * cosine), -1)


class GridAttention(nn.Module):
    """Self-attention that knows places by rotation, and may keep values of the block before.

    ``V^l = (1 - eta) W X + eta V^(l-1)``, with a learned ``eta`` in (0, 1) that starts at one half
    (MMAIF, value residual; Zhou et al. 2024). Queries and keys are normalised.

    Args:
        width: Channels of the tokens.
        heads: Heads.
        rope: Rotate queries and keys.
        residual: Mix the former values in; the first block has none.
    """

    def __init__(self, width: int, heads: int, *, rope: bool, residual: bool) -> None:
        super().__init__()
        assert width % (4 * heads) == 0, f"{heads} heads of width {width}: not a multiple of four"
        self.heads, self.rope = heads, rope
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mix = nn.Parameter(torch.tensor(_EQUAL)) if residual else None

    def forward(
        self, x: Tensor, grid: tuple[int, int], former: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return ``BxNxC`` of ``BxNxC`` tokens, and the values ``B x heads x N x C/heads``.

        Args:
            x: Tokens, row by row of their grid.
            grid: Its rows and columns.
            former: Values of the block before.
        """
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if self.mix is not None and former is not None:
            v = torch.lerp(v, former.to(v), self.mix.sigmoid().to(v))
        width = q.shape[-1]
        q, k = (F.rms_norm(part.float(), (width,)) for part in (q, k))
        if self.rope:
            turn = rotation(*grid, width)
            q, k = rotate(q, turn), rotate(k, turn)
        read = F.scaled_dot_product_attention(q.to(v), k.to(v), v)
        return self.out(read.transpose(1, 2).flatten(-2)), v


class TextAttention(nn.Module):
    """Let tokens read a text; adds nothing at first.

    Args:
        width: Channels of the tokens.
        text: Channels of the text's tokens.
        heads: Heads.
    """

    def __init__(self, width: int, text: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(text, 2 * width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, text: Tensor, weight: Tensor) -> Tensor:
        """Return what ``BxNxC`` tokens read.

        Args:
            x: Tokens.
            text: ``BxLxT``.
            weight: ``BxL`` in [0, 1], how much each token of the text is there.
        """
        q = self.query(self.norm(x)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = self.key_value(text).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        there = weight.clamp_min(_LEAST).log()[:, None, None].to(q)
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=there)
        found: Tensor = self.out(read.transpose(1, 2).flatten(-2))
        return found
