"""Noise and block edges taken off by thresholds on local cosine transforms."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BLOCK: Final = 8
"""Edge of a block in pixels."""
_STEP: Final = 2
_NOISE_GAIN: Final = 4.0  # deviations below which a coefficient counts as noise
_EDGE: Final = 0.03  # amplitude of what compression adds at block edges
_STRIP: Final = 8  # rows of blocks that are worked on at once: they stay in the cache
_NOTHING: Final = 0.004  # thresholds that change nothing to be seen
_TINY: Final = 1e-20


class Shrinkage(nn.Module):
    """Sliding 8x8 cosine transforms whose small coefficients are shrunk (Yu, Sapiro 2011).

    All blocks at every second pixel are averaged. A coefficient ``c`` becomes ``c c^4 / (c^4 +
    T^4)``: nearly a hard threshold, but with a slope. The threshold of every frequency is learned,
    apart for noise, where it grows with the noise, and for compression. Thresholds of 0 change
    nothing.
    """

    basis: Tensor
    varying: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("basis", cosines(BLOCK), persistent=False)
        varying = torch.ones(BLOCK**2, 1)
        varying[0] = 0  # the mean of a block stays
        self.register_buffer("varying", varying, persistent=False)
        self.noise = nn.Parameter(torch.full((BLOCK**2, 1), math.log(_NOISE_GAIN)))
        self.blocks = nn.Parameter(torch.full((BLOCK**2, 1), math.log(_EDGE)))

    def forward(self, x: Tensor, noise: Tensor, blocks: Tensor) -> Tensor:
        """Return ``Bx1xHxW`` cleared.

        Args:
            x: ``Bx1xHxW``, even height and width of at least 8.
            noise: ``Bx1xhxw`` deviation of the noise that is to go, on any coarser grid.
            blocks: ``Bx1xhxw`` in [0, 1], how far compression is to go.
        """
        if torch.is_grad_enabled():
            return self._cleared(x, noise, blocks)
        needed = torch.maximum(noise, blocks).flatten(1).amax(1) >= _NOTHING
        if not bool(needed.any()):
            return x
        cleared = x.clone()
        cleared[needed] = self._cleared(x[needed], noise[needed], blocks[needed])
        return cleared

    def _cleared(self, x: Tensor, noise: Tensor, blocks: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        rows, columns = ((edge - BLOCK) // _STEP + 1 for edge in (height, width))
        amounts = torch.cat((noise, blocks), 1)
        amounts = F.interpolate(amounts, (rows, columns), mode="bilinear", align_corners=False)
        strip = rows if torch.is_grad_enabled() else _STRIP
        gone = torch.zeros_like(x)
        for first in range(0, rows, strip):
            part = amounts[:, :, first : first + strip]
            view = slice(_STEP * first, _STEP * (first + part.shape[2] - 1) + BLOCK)
            gone[:, :, view] += self._small(x[:, :, view], part.flatten(2))
        return x - gone / (_cover(rows, x)[:, None] * _cover(columns, x))

    def _small(self, x: Tensor, amounts: Tensor) -> Tensor:
        """Return the sum over all blocks of what is small in them but their means."""
        coefficients = self.basis @ F.unfold(x, BLOCK, stride=_STEP)
        thresholds = (torch.cat((self.noise, self.blocks), 1).exp() * self.varying) @ amounts
        limit = thresholds.square().square()
        small = coefficients * (limit / (coefficients.square().square() + limit + _TINY))
        return F.fold(self.basis.T @ small, x.shape[-2:], BLOCK, stride=_STEP)


def _cover(blocks: int, like: Tensor) -> Tensor:
    """Return how many of so many blocks in a row each place is in."""
    ones = like.new_ones(1, 1, blocks), like.new_ones(1, 1, BLOCK)
    return F.conv_transpose1d(*ones, stride=_STEP)[0, 0]


def cosines(edge: int) -> Tensor:
    """Return the orthonormal transform ``N^2 x N^2`` of blocks, its first row the mean."""
    place = torch.arange(edge, dtype=torch.float64)
    rows = torch.cos(math.pi / edge * place[:, None] * (place + 0.5)) * math.sqrt(2 / edge)
    rows[0] /= math.sqrt(2)
    return torch.kron(rows, rows).float()
