"""Scale and shift of feature maps by a vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.blocks.moments import channel_moments


class ChannelModulation(nn.Module):
    """Adaptive instance normalisation: ``(1 + gamma) * IN(x) + beta`` (Huang & Belongie 2017).

    ``gamma`` and ``beta`` are linear in the condition and zero at first, so that an untrained
    block is plain instance normalisation.

    Args:
        cond_dim: Width of the condition.
        channels: Channels of the feature maps.
        residual: Add the input: ``(1 + gamma) * IN(x) + beta + x``, at no extra pass over ``x``.
    """

    EPS = 1e-5

    def __init__(self, cond_dim: int, channels: int, *, residual: bool = False) -> None:
        super().__init__()
        self.residual = residual
        self.affine = nn.Linear(cond_dim, 2 * channels)
        nn.init.zeros_(self.affine.weight)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """Modulate ``BxCxHxW`` by the condition ``BxK``."""
        scale, shift = (part.to(x.dtype)[:, :, None, None] for part in self.affine_map(x, cond))
        return torch.addcmul(shift, x, scale)

    def affine_map(self, x: Tensor, cond: Tensor) -> tuple[Tensor, Tensor]:
        """Return what every channel is multiplied by and what is added, ``BxC`` float32 each."""
        gamma, beta = self.affine(cond).float().chunk(2, dim=1)
        mean, variance = channel_moments(x)
        scale = (1 + gamma) * torch.rsqrt(variance + self.EPS)
        shift = beta - scale * mean
        return (scale + 1 if self.residual else scale), shift


def convolve_mapped(x: Tensor, scale: Tensor, shift: Tensor, conv: nn.Conv2d) -> Tensor:
    """Return ``conv(scale * x + shift)`` without a pass over ``x``, of one picture.

    Scale and shift go into the weights of the convolution. Beyond the border there is nothing, so
    that there nothing is shifted: what the shift would add from there is taken off the border.

    Args:
        x: ``1xCxHxW``.
        scale: ``C``.
        shift: ``C``.
        conv: Convolution of 3x3 with one pixel of padding and a bias.
    """
    assert conv.bias is not None, "the convolution has a bias"
    weight = conv.weight * scale[:, None, None]
    taps = (conv.weight * shift[:, None, None]).sum(1)  # what the shift adds, per tap of the filter
    y = F.conv2d(x, weight, conv.bias + taps.sum((1, 2)), padding=1)
    rows, columns = taps.sum(2).to(y.dtype), taps.sum(1).to(y.dtype)
    corners = taps.to(y.dtype)
    for side, tap in ((0, 0), (-1, 2)):
        y[:, :, side] -= rows[:, tap, None]
        y[..., side] -= columns[:, tap, None]
        for other, across in ((0, 0), (-1, 2)):
            y[0, :, side, other] += corners[:, tap, across]
    return y
