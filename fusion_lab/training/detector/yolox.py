"""YOLOX-Nano (Ge et al., YOLOX, 2021): the parts that ``pair-nano`` is made of.

CSPDarknet of depth 0.33 and width 0.25 with depthwise 3x3 convolutions, a path-aggregation neck
(Liu et al., PANet, CVPR 2018) and a decoupled head without anchors. Batch normalisation is folded
into the convolutions, as in the published ONNX file. Parts are registered in the order in which
they are executed, which is the order of that file.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

WIDTHS: Final = (64, 128, 256)  # channels at strides 8, 16 and 32
HEAD_WIDTH: Final = 64


class Conv(nn.Sequential):
    """Convolution and SiLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        padding = (kernel - stride + 1) // 2
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups),
            nn.SiLU(inplace=True),
        )


class Separable(nn.Sequential):
    """Depthwise 3x3, then pointwise convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__(Conv(inputs, inputs, 3, stride, groups=inputs), Conv(inputs, outputs))


class Bottleneck(nn.Module):
    """Pointwise, then separable convolution; with or without a short cut around them."""

    def __init__(self, channels: int, *, shortcut: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(Conv(channels, channels), Separable(channels, channels))
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        out: Tensor = self.body(x)
        return out + x if self.shortcut else out


class Partial(nn.Module):
    """Cross-stage-partial block: half of the channels pass through bottlenecks, half past them."""

    def __init__(self, inputs: int, outputs: int, depth: int = 1, *, shortcut: bool = True) -> None:
        super().__init__()
        half = outputs // 2
        self.through, self.past = Conv(inputs, half), Conv(inputs, half)
        self.body = nn.Sequential(*(Bottleneck(half, shortcut=shortcut) for _ in range(depth)))
        self.merge = Conv(2 * half, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``outputs`` channels of the same size."""
        merged: Tensor = self.merge(torch.cat([self.body(self.through(x)), self.past(x)], 1))
        return merged


class Pyramid(nn.Module):
    """Spatial pyramid pooling: maxima over 5, 9 and 13 points, by three of 5 in a row."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduce = Conv(channels, channels // 2)
        self.pool = nn.MaxPool2d(5, 1, 2)
        self.merge = Conv(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape that has seen 13x13 points around each."""
        parts = [self.reduce(x)]
        for _ in range(3):
            parts.append(self.pool(parts[-1]))
        merged: Tensor = self.merge(torch.cat(parts, 1))
        return merged


class Backbone(nn.Module):
    """CSPDarknet.

    Its first layer is YOLOX's Focus (four interleaved pictures, then a 3x3 convolution) written as
    the 6x6 convolution of stride 2 that computes the same.

    Args:
        channels: Planes of the picture.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = Conv(channels, 16, 6, 2)
        self.stage4 = nn.Sequential(Separable(16, 32, 2), Partial(32, 32))
        self.stage8 = nn.Sequential(Separable(32, 64, 2), Partial(64, 64, 3))
        self.stage16 = nn.Sequential(Separable(64, 128, 2), Partial(128, 128, 3))
        self.stage32 = nn.Sequential(
            Separable(128, 256, 2), Pyramid(256), Partial(256, 256, shortcut=False)
        )

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Return the features of strides 8, 16 and 32 of ``BxCxHxW`` in [0, 1]."""
        x8 = self.stage8(self.stage4(self.stem(picture)))
        x16 = self.stage16(x8)
        return [x8, x16, self.stage32(x16)]


class Neck(nn.Module):
    """Path aggregation: from coarse to fine and back."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.narrow32 = Conv(256, 128)
        self.down16 = Partial(256, 128, shortcut=False)
        self.narrow16 = Conv(128, 64)
        self.down8 = Partial(128, 64, shortcut=False)
        self.stride16 = Separable(64, 64, 2)
        self.up16 = Partial(128, 128, shortcut=False)
        self.stride32 = Separable(128, 128, 2)
        self.up32 = Partial(256, 256, shortcut=False)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Return features of the same strides and widths."""
        x8, x16, x32 = features
        p32 = self.narrow32(x32)
        p16 = self.narrow16(self.down16(torch.cat([self.up(p32), x16], 1)))
        f8 = self.down8(torch.cat([self.up(p16), x8], 1))
        f16 = self.up16(torch.cat([self.stride16(f8), p16], 1))
        f32 = self.up32(torch.cat([self.stride32(f16), p32], 1))
        return [f8, f16, f32]


class Head(nn.Module):
    """Box values, objectness and class logits of one stride, from two branches."""

    def __init__(self, inputs: int, kinds: int) -> None:
        super().__init__()
        width = HEAD_WIDTH
        self.reduce = Conv(inputs, width)
        self.classify = nn.Sequential(Separable(width, width), Separable(width, width))
        self.kinds = nn.Conv2d(width, kinds, 1)
        self.locate = nn.Sequential(Separable(width, width), Separable(width, width))
        self.box = nn.Conv2d(width, 4, 1)
        self.objectness = nn.Conv2d(width, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``Bx(4+1+K)xhxw``: box values, logit of an object, logits of its kind."""
        x = self.reduce(x)
        located, kinds = self.locate(x), self.kinds(self.classify(x))
        return torch.cat([self.box(located), self.objectness(located), kinds], 1)


class YoloxNano(nn.Module):
    """The published detector for one picture, from which ``pair-nano`` takes its weights.

    Args:
        kinds: Number of classes, 80 in COCO.
    """

    def __init__(self, kinds: int = 80) -> None:
        super().__init__()
        self.backbone = Backbone(3)
        self.neck = Neck()
        self.heads = nn.ModuleList(Head(width, kinds) for width in WIDTHS)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the head outputs of strides 8, 16, 32 for ``Bx3xHxW`` RGB in [0, 1]."""
        features = self.neck(self.backbone(images))
        return [head(x) for head, x in zip(self.heads, features, strict=True)]
