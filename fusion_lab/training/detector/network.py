"""``pair-nano``: a small anchor-free detector for aligned visible and thermal pairs.

YOLOX-Nano (see ``yolox``) with a backbone for each modality. Their features are mixed at strides 8,
16 and 32 by weights per point and channel, so that a camera that is blind, or blind in a part of
its picture, costs little. Neck and head run on the mixed features and, as an auxiliary thermal
branch, on those of thermal alone. The branch predicts people only: a misleading visible picture
cannot hide whom thermal shows clearly (late beside halfway fusion: Liu et al., BMVC 2016; Chen et
al., Multimodal object detection via probabilistic ensembling, ECCV 2022). Nor does the branch
outvote a clear picture of something else: its scores are weighed, per point, by what both cameras
show there (``Trust``). Every box is predicted by
one point: its centre relative to the point and the logarithm of its size, both in units of the
stride.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fusion_lab.data.labels import PERSON
from fusion_lab.training.detector.yolox import WIDTHS, Backbone, Conv, Head, Neck, YoloxNano

STRIDES: Final = (8, 16, 32)
KINDS: Final = (("person", (0,)), ("vehicle", (2, 5, 7)), ("cycle", (1, 3)))
"""Class -> COCO's numbers of its kinds: car, bus, truck; bicycle, motorcycle."""
_PRIOR: Final = 0.01  # probability that an untrained head gives a point (RetinaNet, section 4.1)
_LARGEST: Final = 6.0  # of the logarithm of a size: exp(6) strides are more than any picture
_TRUSTING: Final = 4.0  # logit of a trust of 0.98
_SUREST: Final = -1e-5  # of the logarithm of a score, whose logit would be infinite at 0


class Predictions(NamedTuple):
    """Output of the head at every point; P is the number of points of all strides.

    Attributes:
        logits: ``BxPxC`` class logits.
        boxes: ``BxPx4`` centre x, centre y, width, height in input pixels.
        points: ``Px3`` x and y of the points in input pixels, and their strides.
        trust: ``BxP`` logits of how far thermal alone counts; equal for both views of a picture.
    """

    logits: Tensor
    boxes: Tensor
    points: Tensor
    trust: Tensor

    def views(self) -> tuple[Predictions, Predictions]:
        """Return those of both cameras together, and of the auxiliary thermal branch."""
        (mixed, alone), boxes, trust = (x.chunk(2) for x in (self.logits, self.boxes, self.trust))
        people = alone[..., PERSON : PERSON + 1]
        return (
            Predictions(mixed, boxes[0], self.points, trust[0]),
            Predictions(people, boxes[1], self.points, trust[1]),
        )

    def weighed(self) -> Predictions:
        """Return the same with the logits of scores times trust."""
        logits = _product(self.logits, self.trust[..., None])
        return Predictions(logits, self.boxes, self.points, self.trust)


class Mix(nn.Module):
    """Weigh the features of two modalities, per point and channel; untrained it takes the mean."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        last = nn.Conv2d(channels // 2, channels, 1)
        self.gate = nn.Sequential(Conv(2 * channels, channels // 2), last).apply(_start)
        nn.init.zeros_(last.weight)

    def forward(self, visible: Tensor, thermal: Tensor) -> Tensor:
        """Return features of the same shape, between both."""
        weight: Tensor = self.gate(torch.cat([visible, thermal], 1)).sigmoid()
        return thermal + weight * (visible - thermal)


class Trust(nn.Module):
    """How far people whom thermal alone shows are believed, per point; untrained: nearly wholly.

    Args:
        channels: Channels of the neck's features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.look = Conv(2 * channels, channels // 4).apply(_start)
        self.judge = nn.Conv2d(channels // 4, 1, 1)
        assert self.judge.bias is not None
        nn.init.zeros_(self.judge.weight)
        nn.init.constant_(self.judge.bias, _TRUSTING)

    def forward(self, features: Tensor) -> Tensor:
        """Return ``2Bx1xhxw`` logits, each twice, of the features of both views.

        What it learns stays with it: features are not bent towards it.
        """
        mixed, alone = features.detach().chunk(2)
        trust: Tensor = self.judge(self.look(torch.cat([mixed, alone], 1)))
        return torch.cat([trust, trust])


class PairNano(nn.Module):
    """The detector; 1.5 million parameters."""

    name: Final = "pair-nano"

    def __init__(self) -> None:
        super().__init__()
        self.visible = Backbone(3).apply(_start)
        self.thermal = Backbone(1).apply(_start)
        self.mix = nn.ModuleList(Mix(width) for width in WIDTHS)
        self.neck = Neck().apply(_start)
        kinds = sum(len(numbers) for _, numbers in KINDS)
        self.heads = nn.ModuleList(Head(width, kinds).apply(_start) for width in WIDTHS)
        self.trust = nn.ModuleList(Trust(width) for width in WIDTHS)

    def adopt(self, donor: YoloxNano) -> None:
        """Take over the weights of YOLOX-Nano: backbone twice, neck, head of the known classes."""
        state = donor.backbone.state_dict()
        self.visible.load_state_dict(state)
        state["stem.0.weight"] = state["stem.0.weight"].sum(1, keepdim=True)
        self.thermal.load_state_dict(state)
        self.neck.load_state_dict(donor.neck.state_dict())
        rows = torch.tensor([number for _, numbers in KINDS for number in numbers])
        for head, given in zip(self.heads, donor.heads, strict=True):
            state = given.state_dict()
            for key in ("kinds.weight", "kinds.bias"):
                state[key] = state[key][rows]
            state["box.bias"] = state["box.bias"] - torch.tensor([0.5, 0.5, 0.0, 0.0])
            head.load_state_dict(state)

    def features(self, images: Tensor) -> list[Tensor]:
        """Return ``2Bx(4+1+K+1)xhxw`` head outputs and trust of the strides 8, 16 and 32.

        The first B are of both cameras, the others of thermal alone.

        Args:
            images: ``Bx4xHxW`` red, green, blue, thermal in [0, 1]; H and W multiples of 32.
        """
        return self.headed(self.necked(images))

    def necked(self, images: Tensor) -> list[Tensor]:
        """Return the neck's ``2BxCxhxw`` features of the three strides."""
        pairs = zip(self.mix, self.visible(images[:, :3]), self.thermal(images[:, 3:]), strict=True)
        views = [torch.cat([mix(visible, thermal), thermal]) for mix, visible, thermal in pairs]
        features: list[Tensor] = self.neck(views)
        return features

    def headed(self, features: list[Tensor]) -> list[Tensor]:
        """Return :meth:`features` of the neck's features."""
        scales = zip(self.heads, self.trust, features, strict=True)
        return [torch.cat([head(x), trust(x)], 1) for head, trust, x in scales]

    def predict(self, features: list[Tensor]) -> Predictions:
        """Return boxes and logits of every point in float32."""
        points = torch.cat([_points(x, s) for x, s in zip(features, STRIDES, strict=True)])
        raw = torch.cat([x.flatten(2) for x in features], 2).transpose(1, 2).float()
        place, stride = points[:, :2], points[:, 2:]
        centres = place + raw[..., :2] * stride
        sizes = raw[..., 2:4].clamp(max=_LARGEST).exp() * stride
        return Predictions(
            _logits(raw[..., 4:5], raw[..., 5:-1]),
            torch.cat([centres, sizes], 2),
            points,
            raw[..., -1],
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return ``Bx(4+C)x2P``: centre x, centre y, width, height in pixels, then probabilities.

        The second P points, of the auxiliary thermal branch, have scores of people only.
        """
        mixed, thermal = self.predict(self.features(images)).views()
        people = thermal.weighed()
        others = mixed.logits.shape[2] - 1 - PERSON
        padded = F.pad(people.logits.sigmoid(), (PERSON, others))
        boxes = torch.cat([mixed.boxes, people.boxes], 1)
        scores = torch.cat([mixed.logits.sigmoid(), padded], 1)
        return torch.cat([boxes, scores], 2).transpose(1, 2)


def _logits(objectness: Tensor, kinds: Tensor) -> Tensor:
    """Return ``BxPxC`` logits of the score that YOLOX gives a class.

    It is the probability of an object times that of its kind; of the kinds of a class counts the
    most probable.
    """
    groups = torch.split(kinds, [len(numbers) for _, numbers in KINDS], 2)
    best = torch.stack([group.amax(2) for group in groups], 2)
    return _product(objectness, best)


def _product(first: Tensor, second: Tensor) -> Tensor:
    """Return the logits of the products of two probabilities."""
    score = (F.logsigmoid(first) + F.logsigmoid(second)).clamp(max=_SUREST)
    return score - torch.log(-torch.expm1(score))


def _start(module: nn.Module) -> None:
    """Keep the variance of features from layer to layer, as nothing normalises them."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        assert module.bias is not None
        nn.init.zeros_(module.bias)
    elif isinstance(module, Head):
        assert module.objectness.bias is not None
        nn.init.constant_(module.objectness.bias, math.log(_PRIOR / (1 - _PRIOR)))


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
