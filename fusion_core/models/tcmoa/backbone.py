"""Masked autoencoder: a vision transformer as encoder and a narrower one as decoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.tcmoa.positions import sine_grid
from fusion_core.models.tcmoa.windows import Windows

PATCH = 16
_PIXELS = 3 * PATCH * PATCH
# Of ImageNet; every masked autoencoder sees pictures in these units.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class MaeConfig:
    """Architecture of a masked autoencoder; the defaults are the embedded one's.

    Attributes:
        width: Channels of the encoder's tokens.
        depth: Blocks of the encoder.
        heads: Heads of its attention.
        decoder_width: Channels of the decoder's tokens.
        decoder_depth: Blocks of the decoder.
        decoder_heads: Heads of its attention.
        eps: Of the layer norms.
    """

    width: int = 192
    depth: int = 6
    heads: int = 6
    decoder_width: int = 128
    decoder_depth: int = 2
    decoder_heads: int = 4
    eps: float = 1e-6


SMALL = MaeConfig()
BASE = MaeConfig(768, 12, 12, 512, 8, 16)
LARGE = MaeConfig(1024, 24, 16, 512, 8, 16)


class Block(nn.Module):
    """Self-attention and MLP of four times the width, both pre-norm with residual.

    Args:
        width: Channels of the tokens.
        heads: Heads of the attention.
        eps: Of the layer norms.
    """

    def __init__(self, width: int, heads: int, eps: float) -> None:
        super().__init__()
        assert width % heads == 0, f"{heads} heads do not divide width {width}"
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(
        self, tokens: Tensor, windows: Windows | None = None, table: Tensor | None = None
    ) -> Tensor:
        """Return ``BxNxC`` of ``BxNxC`` tokens, row by row of their grid.

        Args:
            tokens: The tokens.
            windows: Attend inside windows of the grid; None: each token to all.
            table: Relative bias inside windows, see :meth:`Windows.logits`.
        """
        x = self.norm1(tokens)
        mask = None
        if windows is not None:
            x = windows.split(x)
            mask = windows.logits(table, x)
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = self.proj(read.transpose(1, 2).flatten(-2))
        tokens = tokens + (x if windows is None else windows.join(x))
        out: Tensor = tokens + self.fc2(F.gelu(self.fc1(self.norm2(tokens))))
        return out


class MaskedAutoencoder(nn.Module):
    """Masked autoencoder (He et al. 2022) without class token.

    Args:
        config: Architecture.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: MaeConfig) -> None:
        super().__init__()
        c = self.config = config
        self.embed = nn.Conv2d(3, c.width, PATCH, PATCH)
        self.blocks = nn.ModuleList(Block(c.width, c.heads, c.eps) for _ in range(c.depth))
        self.norm = nn.LayerNorm(c.width, c.eps)
        self.decoder_embed = nn.Linear(c.width, c.decoder_width)
        self.mask_token = nn.Parameter(torch.randn(c.decoder_width) * 0.02)
        self.decoder_blocks = nn.ModuleList(
            Block(c.decoder_width, c.decoder_heads, c.eps) for _ in range(c.decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(c.decoder_width, c.eps)
        self.pred = nn.Linear(c.decoder_width, _PIXELS)
        for name, values in (("mean", _MEAN), ("deviation", _DEVIATION)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def tokens(self, pictures: Tensor) -> Tensor:
        """Return ``BxNxC`` tokens with their positions of ``Bx3xHxW`` RGB in [0, 1].

        Height and width are multiples of the patch; the tokens lie row by row.
        """
        embedded: Tensor = self.embed((pictures - self.mean) / self.deviation)
        positions = sine_grid(embedded.shape[-2], embedded.shape[-1], self.config.width)
        return embedded.flatten(2).transpose(1, 2) + positions.to(embedded)

    def narrow(self, tokens: Tensor, rows: int, columns: int) -> Tensor:
        """Return what the decoder starts from, ``BxNxD`` of the encoder's normed ``BxNxC``."""
        narrowed: Tensor = self.decoder_embed(tokens)
        return narrowed + sine_grid(rows, columns, self.config.decoder_width).to(narrowed)

    def picture(self, tokens: Tensor, rows: int, columns: int) -> Tensor:
        """Return ``Bx3xHxW`` RGB, not clipped, of the decoder's last ``BxNxD`` tokens."""
        patches: Tensor = self.pred(self.decoder_norm(tokens))
        units = patches.reshape(-1, rows, columns, PATCH, PATCH, 3)
        joined = units.permute(0, 5, 1, 3, 2, 4).flatten(2, 3).flatten(3, 4)
        return joined * self.deviation + self.mean

    def reconstruct(self, pictures: Tensor, kept: Tensor) -> Tensor:
        """Return ``Bx3xHxW`` RGB, not clipped, made of some patches of ``Bx3xHxW`` in [0, 1].

        Args:
            pictures: Height and width are multiples of the patch.
            kept: ``BxK`` indices of the patches that the encoder sees.
        """
        rows, columns = pictures.shape[-2] // PATCH, pictures.shape[-1] // PATCH
        seen = _gather(self.tokens(pictures), kept)
        for block in self.blocks:
            seen = block(seen)
        narrowed = self.decoder_embed(self.norm(seen))
        every = self.mask_token.to(narrowed).expand(len(pictures), rows * columns, -1)
        index = kept[..., None].expand(-1, -1, narrowed.shape[-1])
        every = every.scatter(1, index, narrowed)
        every = every + sine_grid(rows, columns, every.shape[-1]).to(every)
        for block in self.decoder_blocks:
            every = block(every)
        return self.picture(every, rows, columns)


def _gather(tokens: Tensor, index: Tensor) -> Tensor:
    return tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[-1]))
