"""Dense convolutions beside a path that sees edges."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


class GradientDenseBlock(nn.Module):
    """Gradient residual dense block (SeAFusion, section 3.3; CtrlFuse's extractor).

    Two 3x3 convolutions with dense connections and a 1x1 convolution; beside them Sobel magnitudes
    |Gx| + |Gy| of every channel and a 1x1 convolution; the sum is rectified. The Sobel kernels are
    where the depthwise convolutions start from; they are trained.

    Args:
        channels: Channels of the input.
        out: Channels of the output.
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.merge = nn.Conv2d(3 * channels, out, 1)
        kernel = torch.tensor(_SOBEL) / 8
        both = torch.stack([kernel, kernel.T]).repeat_interleave(channels, 0)[:, None]
        self.sobel = nn.Parameter(both.clone())
        self.edges = nn.Conv2d(channels, out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``BxoutxHxW`` from ``BxCxHxW``."""
        channels = x.shape[1]
        first = F.leaky_relu_(self.first(x), 0.2)
        second = F.leaky_relu_(self.second(torch.cat([x, first], 1)), 0.2)
        dense = self.merge(torch.cat([x, first, second], 1))
        horizontal, vertical = (
            F.conv2d(x, kernel, padding=1, groups=channels) for kernel in self.sobel.chunk(2)
        )
        edges = self.edges(horizontal.abs_().add_(vertical.abs_()))
        return F.leaky_relu_(dense + edges, 0.1)
