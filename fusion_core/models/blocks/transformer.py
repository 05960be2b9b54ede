"""Mix Transformer encoder: overlapped patches, attention over a reduced grid, convolutional MLP."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class MiTConfig:
    """Architecture of a :class:`MiTEncoder`; four stages at strides 4, 8, 16 and 32.

    The defaults are MiT-B1.

    Attributes:
        widths: Channels per stage.
        depths: Blocks per stage.
        heads: Heads of the attention per stage; divide the width.
        reductions: Edge by which keys and values are reduced, per stage.
        ratio: Hidden width of the MLP in widths.
    """

    widths: tuple[int, ...] = (64, 128, 320, 512)
    depths: tuple[int, ...] = (2, 2, 2, 2)
    heads: tuple[int, ...] = (1, 2, 5, 8)
    reductions: tuple[int, ...] = (8, 4, 2, 1)
    ratio: int = 4


class MiTEncoder(nn.Module):
    """Mix Transformer of SegFormer (Xie et al. 2021, sections 3.1 and A).

    Args:
        in_channels: Channels of the picture.
        config: Architecture.
    """

    def __init__(self, in_channels: int, config: MiTConfig) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        for index, width in enumerate(config.widths):
            kernel, stride = (7, 4) if index == 0 else (3, 2)
            embed = PatchEmbed(in_channels, width, kernel, stride)
            blocks = [
                MiTBlock(width, config.heads[index], config.reductions[index], config.ratio)
                for _ in range(config.depths[index])
            ]
            self.stages.append(nn.Sequential(embed, *blocks, nn.LayerNorm(width)))
            in_channels = width

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return ``BxCxhxw`` features per stage of ``BxCxHxW``, a multiple of 32 high and wide."""
        features = []
        for stage in self.stages:
            x = stage(x).permute(0, 3, 1, 2)
            features.append(x)
        return features


class PatchEmbed(nn.Module):
    """Overlapping patches to tokens: strided convolution and layer norm; returns ``BxhxwxC``."""

    def __init__(self, in_channels: int, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel, stride, kernel // 2)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return tokens ``BxhxwxD`` of ``BxCxHxW``."""
        tokens: Tensor = self.norm(self.conv(x).permute(0, 2, 3, 1))
        return tokens


class MiTBlock(nn.Module):
    """Efficient self-attention and Mix-FFN, both pre-norm with residual, on ``BxhxwxC``.

    Args:
        width: Channels.
        heads: Heads of the attention.
        reduction: Edge of the patches that one key and value stand for.
        ratio: Hidden width of the MLP in widths.
    """

    def __init__(self, width: int, heads: int, reduction: int, ratio: int) -> None:
        super().__init__()
        assert width % heads == 0, f"{heads} heads do not divide width {width}"
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.reduce = nn.Conv2d(width, width, reduction, reduction) if reduction > 1 else None
        self.reduced_norm = nn.LayerNorm(width) if reduction > 1 else None
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, ratio * width)
        self.local = nn.Conv2d(ratio * width, ratio * width, 3, padding=1, groups=ratio * width)
        self.shrink = nn.Linear(ratio * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``BxhxwxC`` of the same shape."""
        x = x + self._attend(self.norm(x))
        hidden = self.expand(self.mlp_norm(x)).permute(0, 3, 1, 2)
        hidden = F.gelu(self.local(hidden)).permute(0, 2, 3, 1)
        out: Tensor = x + self.shrink(hidden)
        return out

    def _attend(self, x: Tensor) -> Tensor:
        shape = x.shape
        source = x
        if self.reduce is not None and self.reduced_norm is not None:
            source = self.reduced_norm(self.reduce(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
        query = self._split(self.query(x).flatten(1, 2))
        key, value = map(self._split, self.key_value(source).flatten(1, 2).chunk(2, dim=-1))
        read = F.scaled_dot_product_attention(query, key, value)
        out: Tensor = self.out(read.transpose(1, 2).reshape(shape))
        return out

    def _split(self, tokens: Tensor) -> Tensor:
        """Return ``BxNxC`` as ``BxheadsxNxC/heads``."""
        split: Tensor = tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # type: ignore[no-untyped-call]
        return split
