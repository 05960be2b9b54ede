"""Convolutional feature extractor with dense connections."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DenseEncoder(nn.Module):
    """Convolutions of 3x3 that each see all earlier outputs (DenseFuse; M2PN section 3.2).

    Args:
        in_channels: Channels of the input.
        growth: Channels that each layer adds.
        layers: Number of layers; together they give ``layers * growth`` channels.
    """

    def __init__(self, in_channels: int, growth: int, layers: int) -> None:
        super().__init__()
        widths = [in_channels, *(growth * depth for depth in range(1, layers))]
        self.convs = nn.ModuleList(nn.Conv2d(width, growth, 3, padding=1) for width in widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the output of every layer, ``BxgrowthxHxW`` each, from ``BxCxHxW``.

        They are left apart so that a caller who concatenates them with others copies them once.
        """
        outputs: list[Tensor] = []
        for conv in self.convs:
            seen = torch.cat(outputs, 1) if len(outputs) > 1 else (*outputs, x)[0]
            outputs.append(F.relu_(conv(seen)))
        return outputs
