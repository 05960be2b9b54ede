"""``pair-nano``: a small anchor-free detector for aligned visible and thermal pairs.

Two stems, one per modality, meet at a quarter of the resolution, so that a blind modality costs
only its own features. Then a backbone of cross-stage-partial blocks (Wang et al., CSPNet, CVPRW
2020), a path-aggregation neck (Liu et al., PANet, CVPR 2018), and at strides 8, 16 and 32 a
decoupled head without anchors (Ge et al., YOLOX, 2021). Every box is predicted by one point: its
centre relative to the point and the logarithm of its size, both in units of the stride.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from fusion_core.detection.labels import CLASSES

STRIDES: Final = (8, 16, 32)
_PRIOR: Final = 0.01  # probability that an untrained head gives a point (RetinaNet, section 4.1)
_LARGEST: Final = 6.0  # of the logarithm of a size: exp(6) strides are more than any picture


class Predictions(NamedTuple):
    """What the head says about every point; P is the number of points of all strides.

    Attributes:
        logits: ``BxPxC`` class logits.
        boxes: ``BxPx4`` centre x, centre y, width, height in input pixels.
        points: ``Px3`` x and y of the points in input pixels, and their strides.
    """

    logits: Tensor
    boxes: Tensor
    points: Tensor


class Conv(nn.Sequential):
    """Convolution, batch normalisation, ReLU: at run time one fused operation."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two 3x3 convolutions around a short cut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(Conv(channels, channels, 3), Conv(channels, channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        out: Tensor = x + self.body(x)
        return out


class Partial(nn.Module):
    """Cross-stage-partial block: half of the channels pass through residuals, half past them."""

    def __init__(self, inputs: int, outputs: int, depth: int) -> None:
        super().__init__()
        half = outputs // 2
        self.through, self.past = Conv(inputs, half), Conv(inputs, half)
        self.body = nn.Sequential(*(Residual(half) for _ in range(depth)))
        self.merge = Conv(2 * half, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``outputs`` channels of the same size."""
        merged: Tensor = self.merge(torch.cat([self.body(self.through(x)), self.past(x)], 1))
        return merged


class Pyramid(nn.Module):
    """Spatial pyramid pooling by three 5x5 maxima in a row (He et al., ECCV 2014)."""

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


class Head(nn.Module):
    """Class logits and box values of one stride, from two branches."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__()
        self.reduce = Conv(inputs, width)
        self.classify = nn.Sequential(Conv(width, width, 3), nn.Conv2d(width, classes, 1))
        self.locate = nn.Sequential(Conv(width, width, 3), nn.Conv2d(width, 4, 1))
        final = self.classify[-1]
        assert isinstance(final, nn.Conv2d)
        assert final.bias is not None
        nn.init.constant_(final.bias, math.log(_PRIOR / (1 - _PRIOR)))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``Bx(4+C)xhxw``: box values, then logits."""
        x = self.reduce(x)
        return torch.cat([self.locate(x), self.classify(x)], 1)


class PairNano(nn.Module):
    """The detector; 1.9 million parameters.

    Args:
        classes: Number of classes.
    """

    name: Final = "pair-nano"

    def __init__(self, classes: int = len(CLASSES)) -> None:
        super().__init__()
        self.classes = classes
        self.visible = nn.Sequential(Conv(3, 12, 3, 2), Conv(12, 24, 3, 2))
        self.thermal = nn.Sequential(Conv(1, 12, 3, 2), Conv(12, 24, 3, 2))
        self.stage4 = Partial(48, 48, 1)
        self.stage8 = nn.Sequential(Conv(48, 80, 3, 2), Partial(80, 80, 2))
        self.stage16 = nn.Sequential(Conv(80, 128, 3, 2), Partial(128, 128, 2))
        self.stage32 = nn.Sequential(Conv(128, 192, 3, 2), Partial(192, 192, 1), Pyramid(192))
        self.up = nn.Upsample(scale_factor=2.0, mode="nearest")
        self.narrow32 = Conv(192, 128)
        self.down16 = Partial(256, 128, 1)
        self.narrow16 = Conv(128, 80)
        self.down8 = Partial(160, 80, 1)
        self.stride16 = Conv(80, 80, 3, 2)
        self.up16 = Partial(160, 128, 1)
        self.stride32 = Conv(128, 128, 3, 2)
        self.up32 = Partial(256, 192, 1)
        self.heads = nn.ModuleList(Head(width, 48, classes) for width in (80, 128, 192))

    def features(self, images: Tensor) -> list[Tensor]:
        """Return ``Bx(4+C)xhxw`` head outputs of the strides 8, 16 and 32.

        Args:
            images: ``Bx4xHxW`` red, green, blue, thermal in [0, 1]; H and W multiples of 32.
        """
        images = images * 2 - 1
        x4 = self.stage4(torch.cat([self.visible(images[:, :3]), self.thermal(images[:, 3:])], 1))
        x8 = self.stage8(x4)
        x16 = self.stage16(x8)
        p32 = self.narrow32(self.stage32(x16))
        p16 = self.narrow16(self.down16(torch.cat([self.up(p32), x16], 1)))
        f8 = self.down8(torch.cat([self.up(p16), x8], 1))
        f16 = self.up16(torch.cat([self.stride16(f8), p16], 1))
        f32 = self.up32(torch.cat([self.stride32(f16), p32], 1))
        return [head(x) for head, x in zip(self.heads, (f8, f16, f32), strict=True)]

    def predict(self, features: list[Tensor]) -> Predictions:
        """Return boxes and logits of every point in float32."""
        points = torch.cat([_points(x, s) for x, s in zip(features, STRIDES, strict=True)])
        raw = torch.cat([x.flatten(2) for x in features], 2).transpose(1, 2).float()
        place, stride = points[:, :2], points[:, 2:]
        centres = place + raw[..., :2] * stride
        sizes = raw[..., 2:4].clamp(max=_LARGEST).exp() * stride
        return Predictions(raw[..., 4:], torch.cat([centres, sizes], 2), points)

    def forward(self, images: Tensor) -> Tensor:
        """Return ``Bx(4+C)xP``: centre x, centre y, width, height in pixels, then probabilities."""
        logits, boxes, _ = self.predict(self.features(images))
        return torch.cat([boxes, logits.sigmoid()], 2).transpose(1, 2)


def _points(feature: Tensor, stride: int) -> Tensor:
    """Return ``(h*w)x3``: middles of the cells in input pixels from the corner, and the stride."""
    height, width = feature.shape[2:]
    y, x = torch.meshgrid(
        torch.arange(height, device=feature.device),
        torch.arange(width, device=feature.device),
        indexing="ij",
    )
    middle = (torch.stack([x, y], 2).reshape(-1, 2).float() + 0.5) * stride
    return torch.cat([middle, torch.full_like(middle[:, :1], stride)], 1)
