"""Prompts from a mask: tokens of what is marked."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.blocks.attention import CrossAttention
from fusion_core.models.blocks.object_prompts import Prompts, View

_EPS = 5e-4
_MASK_SCALE = 10.0
_SAMPLES = 64


class ReferencePromptEncoder(nn.Module):
    """Reference prompt encoder of CtrlFuse: queries read the marked source, then the fusion.

    Support is the source's map with the mean over the mask and the mask itself, query the fused map
    with the same mean and a pseudo-mask: for each cell the largest cosine similarity to a marked
    cell of the source. The learned queries attend to the support, to each other, to the query, and
    to each other again. The published design, with these deviations: the mask is brought to the
    grid by its maximum, that small objects are not lost; the position of a cell is added to what is
    read from it, not only to its key, that prompts may say where; the similarity is taken to at
    most 64 marked cells, evenly spread over the mask.

    Args:
        channels: Channels of the maps.
        dim: Width of the prompts.
        heads: Heads of every attention.
        prompts: Number of prompts.
        grid: Edge of the grid that the maps are brought to.
    """

    def __init__(self, channels: int, dim: int, heads: int, prompts: int, grid: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(prompts, dim) * dim**-0.5)
        self.embed = nn.Conv2d(2 * channels + 1, dim, 1)
        self.attend = nn.ModuleList(CrossAttention(dim, heads) for _ in range(4))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(4))
        self.register_buffer("position", sine_position(grid, grid, dim), persistent=False)

    def forward(self, source: Tensor, fused: Tensor, mask: Tensor) -> Tensor:
        """Return prompts ``BxNxD``.

        Args:
            source: ``BxCxGxG`` map of one modality, on the grid; see :func:`to_grid`.
            fused: ``BxCxGxG`` map of the reference fusion.
            mask: ``Bx1xGxG`` in [0, 1].
        """
        mean = (source * mask).sum((2, 3)) / (mask.sum((2, 3)) + _EPS)
        similar = similarity(source, fused, mask)
        support = self._tokens(source, mean, mask)
        query = self._tokens(fused, mean, similar)
        x = self.queries.to(support.dtype).expand(source.shape[0], -1, -1)
        for attend, norm, context in zip(
            self.attend, self.norms, (support, None, query, None), strict=True
        ):
            x = norm(x + attend(x, x if context is None else context))
        return x

    def _tokens(self, maps: Tensor, mean: Tensor, mask: Tensor) -> Tensor:
        """Embed maps ``BxCxGxG``, their mean ``BxC`` and a mask ``Bx1xGxG`` as ``BxG*GxD``.

        The 1x1 convolution over all three, without laying the mean out over the grid.
        """
        channels = maps.shape[1]
        weight = self.embed.weight.flatten(1)
        of_maps, of_mean, of_mask = weight.tensor_split((channels, 2 * channels), 1)
        cells = F.linear(maps.flatten(2).transpose(1, 2), of_maps)
        cells = cells + F.linear(mean, of_mean, self.embed.bias)[:, None]
        cells = cells + F.linear(_MASK_SCALE * mask.flatten(1)[..., None], of_mask)
        return F.relu_(cells) + self.get_buffer("position")


class ReferencePromptEncoders(nn.ModuleList):
    """The reference prompt encoders of thermal and visible, as published.

    Args:
        channels: Channels of the maps.
        dim: Width of the prompts.
        heads: Heads of every attention.
        prompts: Number of prompts per modality.
        grid: Edge of the grid that the maps are brought to.
    """

    def __init__(self, channels: int, dim: int, heads: int, prompts: int, grid: int) -> None:
        super().__init__(
            ReferencePromptEncoder(channels, dim, heads, prompts, grid) for _ in range(2)
        )
        self.grid = grid

    def forward(self, view: View, mask: Tensor) -> Prompts:
        """Return the prompts of a mask, ``Bx1xHxW`` in [0, 1]."""
        fused, mask = to_grid(view.fused, self.grid), marked_on_grid(mask, self.grid)
        sources = (to_grid(source, self.grid) for source in view.maps)
        encoded = [
            encoder(source, fused, mask) for encoder, source in zip(self, sources, strict=True)
        ]
        return Prompts(torch.stack(encoded, 1))


def to_grid(maps: Tensor, grid: int) -> Tensor:
    """Return the means of ``BxCxHxW`` in the cells of a square grid, ``BxCxGxG``."""
    return F.adaptive_avg_pool2d(maps, (grid, grid))


def marked_on_grid(mask: Tensor, grid: int) -> Tensor:
    """Return the maxima of ``Bx1xHxW`` in the cells of a square grid: small objects stay."""
    return F.adaptive_max_pool2d(mask, (grid, grid))


def similarity(source: Tensor, fused: Tensor, mask: Tensor) -> Tensor:
    """Return the largest cosine similarity of each fused cell to a marked source cell.

    Args:
        source: ``BxCxhxw``.
        fused: ``BxCxhxw``.
        mask: ``Bx1xhxw``; more than 64 marked cells are represented by 64 of them.

    Returns:
        ``Bx1xhxw`` in [-1, 1]; 0 where nothing is marked.
    """
    height, width = fused.shape[-2:]
    weight = mask.flatten(1).float()
    total = weight.sum(1, keepdim=True)
    steps = torch.arange(_SAMPLES, device=mask.device) + 0.5
    quantiles = total / _SAMPLES * steps
    cells = torch.searchsorted(weight.cumsum(1), quantiles).clamp_max_(height * width - 1)
    known = F.normalize(source.flatten(2), dim=1)
    known = known.gather(2, cells[:, None].expand(-1, source.shape[1], -1))
    cosine = known.transpose(1, 2) @ F.normalize(fused.flatten(2), dim=1)
    nearest = cosine.amax(1, keepdim=True) * (total > 0)[..., None]
    return nearest.reshape(-1, 1, height, width)


def sine_position(height: int, width: int, dim: int) -> Tensor:
    """Return sine and cosine of the relative row and column of each cell, ``(h*w)xD``.

    Periods are geometric, from two pictures to a cell of 1/64 (Vaswani et al. 2017, section 3.5,
    in two dimensions). Relative positions let one network serve pictures of any size.

    Args:
        height: Rows.
        width: Columns.
        dim: Width of a token; a multiple of four.
    """
    assert dim % 4 == 0, f"width {dim} is no multiple of 4"
    waves = math.pi * 64 ** torch.linspace(0, 1, dim // 4)
    rows = (torch.arange(height) + 0.5)[:, None] / height * waves
    columns = (torch.arange(width) + 0.5)[:, None] / width * waves
    vertical = torch.cat([rows.sin(), rows.cos()], 1)[:, None].expand(-1, width, -1)
    horizontal = torch.cat([columns.sin(), columns.cos()], 1)[None].expand(height, -1, -1)
    return torch.cat([vertical, horizontal], 2).reshape(height * width, dim)
