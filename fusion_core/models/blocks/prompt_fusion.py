"""Feature maps that read prompts, inside a mask."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.blocks.attention import CrossAttention
from fusion_core.models.blocks.padding import PadToMultiple


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
    """

    _GROUPS = 8

    def __init__(self, channels: int, dim: int, heads: int, stride: int) -> None:
        super().__init__()
        self.pad = PadToMultiple(stride)
        self.down = nn.Conv2d(channels, dim, stride, stride=stride)
        self.down_norm = nn.GroupNorm(self._GROUPS, dim)
        self.read = CrossAttention(dim, heads)
        self.conv = nn.Conv2d(dim, channels, 3, padding=1)
        self.norm = nn.GroupNorm(self._GROUPS, channels)
        self.merge = nn.Conv2d(2 * channels, channels, 1)

    def forward(self, maps: Tensor, prompts: Tensor, mask: Tensor) -> Tensor:
        """Return ``BxCxhxw``.

        Args:
            maps: ``BxCxhxw``.
            prompts: ``BxNxD``.
            mask: ``Bx1xhxw`` in [0, 1].
        """
        size = maps.shape[-2:]
        coarse = self.down_norm(self.down(self.pad(maps)))
        tokens = self.read(coarse.flatten(2).transpose(1, 2), prompts)
        told = tokens.transpose(1, 2).unflatten(2, coarse.shape[-2:])
        told = F.interpolate(
            self.norm(self.conv(told)),
            scale_factor=self.pad.multiple,
            mode="bilinear",
            align_corners=False,
        )[..., : size[0], : size[1]]
        merged: Tensor = self.merge(torch.cat([maps, told], 1))
        return merged * mask
