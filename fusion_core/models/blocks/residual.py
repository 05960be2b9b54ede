"""Convolutional blocks that do not depend on the size of the picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions without a norm (Lim et al. 2017); starts as the identity.

    Nothing in it depends on the picture as a whole, whose statistics are not those of a crop.

    Args:
        width: Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.scale = nn.Parameter(torch.zeros(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``BxCxHxW``."""
        y = self.second(F.relu(self.first(x)))
        return torch.addcmul(x, y, self.scale.to(y.dtype))


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of every pixel, for ``BxCxHxW``."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``BxCxHxW``."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
