"""A tiny autoencoder: 8 pixels to a cell of 32 channels and back, by convolutions alone.

The architecture is that of TAEF2 (Ollin Boer Bohan, MIT), so that its weights fit.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

CHANNELS: Final = 32
FACTOR: Final = 8
_WIDTH: Final = 64
_POOLED: Final = 4  # times the width
_LIMIT: Final = 3.0


def _conv(width_in: int, width_out: int, stride: int = 1, *, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(width_in, width_out, 3, stride, 1, bias=bias)


class ResidualBlock(nn.Module):
    """Three convolutions beside their input.

    Args:
        pooled: Add what is normalised over the whole grid first: the middle blocks see all of it.
    """

    def __init__(self, *, pooled: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            _conv(_WIDTH, _WIDTH),
            nn.ReLU(),
            _conv(_WIDTH, _WIDTH),
            nn.ReLU(),
            _conv(_WIDTH, _WIDTH),
        )
        self.pool: nn.Sequential | None = None
        if pooled:
            self.pool = nn.Sequential(
                nn.Conv2d(_WIDTH, _POOLED * _WIDTH, 1, bias=False),
                nn.GroupNorm(4, _POOLED * _WIDTH),
                nn.ReLU(),
                nn.Conv2d(_POOLED * _WIDTH, _WIDTH, 1, bias=False),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return ``Bx64xhxw`` of the same shape."""
        if self.pool is not None:
            x = x + self.pool(x)
        return torch.relu(self.conv(x) + x)


class SoftClamp(nn.Module):
    """Keeps latents within three deviations, smoothly."""

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape within ]-3, 3[."""
        return torch.tanh(x / _LIMIT) * _LIMIT


def make_encoder() -> nn.Sequential:
    """Return the encoder: ``Bx3xHxW`` in [0, 1], multiples of 8, to ``Bx32xH/8xW/8``."""
    layers: list[nn.Module] = [_conv(3, _WIDTH), ResidualBlock()]
    for stage in range(3):
        layers.append(_conv(_WIDTH, _WIDTH, 2, bias=False))
        layers.extend(ResidualBlock(pooled=stage == 2) for _ in range(3))
    return nn.Sequential(*layers, _conv(_WIDTH, CHANNELS))


def make_decoder() -> nn.Sequential:
    """Return the decoder: ``Bx32xhxw`` to ``Bx3x8hx8w``, not yet clamped."""
    layers: list[nn.Module] = [SoftClamp(), _conv(CHANNELS, _WIDTH), nn.ReLU()]
    for stage in range(3):
        layers.extend(ResidualBlock(pooled=stage == 0) for _ in range(3))
        layers.extend([nn.Upsample(scale_factor=2), _conv(_WIDTH, _WIDTH, bias=False)])
    return nn.Sequential(*layers, ResidualBlock(), _conv(_WIDTH, 3))


class TinyAutoencoder(nn.Module):
    """Encoder and decoder with the statistics of their latents.

    ``mean`` and ``deviation`` are buffers of 32 values: what :meth:`encode` brings to mean 0 and
    deviation 1.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.encoder = make_encoder()
        self.decoder = make_decoder()
        self.register_buffer("mean", torch.zeros(CHANNELS))
        self.register_buffer("deviation", torch.ones(CHANNELS))

    def encode(self, pictures: Tensor) -> Tensor:
        """Return normalised latents ``Bx32xH/8xW/8`` of ``Bx3xHxW`` in [0, 1]."""
        latents: Tensor = self.encoder(pictures)
        return (latents - self.mean[:, None, None]) / self.deviation[:, None, None]

    def decode(self, latents: Tensor) -> Tensor:
        """Return ``Bx3x8hx8w``, not yet clamped to [0, 1]."""
        pictures: Tensor = self.decoder(
            latents * self.deviation[:, None, None] + self.mean[:, None, None]
        )
        return pictures
