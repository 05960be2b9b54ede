"""Feature maps that read prompts, inside a mask."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.blocks.attention import CrossAttention
from fusion_core.models.blocks.padding import PadToMultiple


class Window(NamedTuple):
    """A rectangle of rows and columns; bottom and right are exclusive."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, maps: Tensor) -> Tensor:
        """Return what of ``...xHxW`` lies in the window."""
        return maps[..., self.top : self.bottom, self.left : self.right]

    def moved(self, down: int, right: int) -> Window:
        """Return the window so many rows and columns on."""
        return Window(self.top + down, self.bottom + down, self.left + right, self.right + right)

    def scaled(self, factor: int) -> Window:
        """Return the same rectangle on a grid that is finer by a factor."""
        return Window(*(factor * edge for edge in self))

    def grown(self, cells: int, height: int, width: int, multiple: int = 1) -> Window:
        """Return the window larger all round, within a map; top and left rounded to a multiple."""
        top, left = (
            max(0, (edge - cells) // multiple * multiple) for edge in (self.top, self.left)
        )
        return Window(top, min(height, self.bottom + cells), left, min(width, self.right + cells))


class PromptSemanticFusion(nn.Module):
    """Prompt-semantic fusion module of CtrlFuse, in the direction of the paper.

    Cells of the map, brought to a coarse grid, are the queries, prompts the keys and values; the
    result is brought back and merged with the map, and counts only inside the mask. The 3x3
    convolution runs on the coarse grid, before the enlargement, at a fraction of its cost after it.

    Args:
        channels: Channels of the map.
        dim: Width of the prompts.
        heads: Heads of the attention.
        stride: Edge of a cell of the coarse grid.
        swapped: The prompts are the queries, as in the public code: what they read is laid out as
            a small map of no spatial meaning.
    """

    _GROUPS = 8

    def __init__(
        self, channels: int, dim: int, heads: int, stride: int, *, swapped: bool = False
    ) -> None:
        super().__init__()
        self.swapped = swapped
        self.pad = PadToMultiple(stride)
        self.down = nn.Conv2d(channels, dim, stride, stride=stride)
        self.down_norm = nn.GroupNorm(self._GROUPS, dim)
        self.read = CrossAttention(dim, heads)
        self.conv = nn.Conv2d(dim, channels, 3, padding=1)
        self.norm = nn.GroupNorm(self._GROUPS, channels)
        self.merge = nn.Conv2d(2 * channels, channels, 1)

    def forward(
        self,
        maps: Tensor,
        prompts: Tensor,
        mask: Tensor,
        window: Window,
        areas: Tensor | None = None,
    ) -> Tensor:
        """Return ``BxCxhxw`` inside a window of the map; all else would be lost on the mask.

        Args:
            maps: ``BxCxHxW``.
            prompts: ``BxNxD``.
            mask: ``Bx1xHxW`` in [0, 1].
            window: Where the result is wanted; top and left are multiples of the stride.
            areas: ``BxNx4`` top, left, bottom and right, in shares of the map, of the cells that
                may read each prompt; None: all cells read all prompts.
        """
        coarse = self.down_norm(self.down(self.pad(maps)))
        readers = None if areas is None else self._readers(coarse, maps, areas)
        read = self._read(coarse, prompts, readers)
        enlarged = self._enlarged(self.norm(self.conv(read)), window)
        merged: Tensor = self.merge(torch.cat([window.of(maps), enlarged], 1))
        return merged * window.of(mask)

    def _readers(self, coarse: Tensor, maps: Tensor, areas: Tensor) -> Tensor:
        """Return ``BxTxN``, whether the middle of a cell lies in the area of a prompt."""
        stride = self.pad.multiple
        inside = []
        for axis in (0, 1):
            places = torch.arange(coarse.shape[2 + axis], device=maps.device) + 0.5
            places = (places * stride / maps.shape[2 + axis])[:, None]
            first, last = areas[:, None, :, axis], areas[:, None, :, axis + 2]
            inside.append((places >= first) & (places < last))
        return (inside[0][:, :, None] & inside[1][:, None]).flatten(1, 2)

    def _read(self, coarse: Tensor, prompts: Tensor, readers: Tensor | None) -> Tensor:
        """Return what every cell reads from the prompts, ``BxDxhxw``."""
        count, cells = prompts.shape[1], coarse.flatten(2).transpose(1, 2)
        if not self.swapped:
            read: Tensor = self.read(cells, prompts, readers)
            return read.transpose(1, 2).reshape(coarse.shape)
        rows = max(edge for edge in range(1, math.isqrt(count) + 1) if count % edge == 0)
        read = self.read(prompts, cells).transpose(1, 2)
        laid = read.reshape(*read.shape[:2], rows, -1)
        return F.interpolate(laid, coarse.shape[-2:], mode="bilinear", align_corners=False)

    def _enlarged(self, coarse: Tensor, window: Window) -> Tensor:
        """Enlarge the cells of a window as they would be enlarged within the whole."""
        stride = self.pad.multiple
        top, left = (max(0, edge // stride - 1) for edge in (window.top, window.left))
        bottom, right = (-(-edge // stride) + 1 for edge in (window.bottom, window.right))
        part = F.interpolate(
            coarse[..., top:bottom, left:right],
            scale_factor=stride,
            mode="bilinear",
            align_corners=False,
        )
        return window.moved(-top * stride, -left * stride).of(part)
