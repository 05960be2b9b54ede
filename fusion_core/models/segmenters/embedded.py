"""A small segmenter that is trained together with the fusion and ships with its weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.blocks import Objects, Prompts, View
from fusion_core.models.blocks.object_prompts import lay

_NOWHERE = -10.0
_LEAST_CONTRAST, _EPS = 0.02, 1e-3
_NARROW = 8
# Of its prompt's shape at least this much must be found, or the shape is believed as it is. More
# would take the boxes of thin people in smoke whole, together with those of vehicles.
_LEAST_FOUND = 0.25
_RANGE = (-1.0, 2.0)


class ObjectSegmenter(nn.Module):
    """Few-shot segmentation: every cell of an object's area is compared with its prompts.

    What a cell looks like lies between the surround (0) and the object (1) of the prompt, in each
    picture and in each modality's features (as with the prototypes of Wang et al. 2019, PANet).
    Convolutions at the full, half and quarter grid of the area decide from that, the pictures, the
    shape of the prompt, the place in its area and whether it is upright: people are, and show what
    is warm; vehicles are wide, and warm in parts. The mask itself is not seen. Only objects that
    are given by a box are looked for: whoever gives a shape knows it.

    An object of which less than a quarter of the prompt's shape is found counts as its prompt says:
    what a segmenter does not know may still matter to who marked it.

    Args:
        channels: Channels of the features of one modality.
        modalities: Number of pictures.
        width: Channels at the full grid.
    """

    def __init__(self, channels: int, modalities: int, width: int) -> None:
        super().__init__()
        half, quarter = width * 4 // 3, 2 * width
        seen = 3 * modalities + _NARROW + 3
        self.narrow = nn.Linear(modalities * channels, _NARROW, bias=False)
        self.fine = nn.Sequential(_convolution(seen, width), _convolution(width, width))
        self.middle = nn.Sequential(_convolution(width, half, 2), _convolution(half, half))
        self.coarse = nn.Sequential(_convolution(half, quarter, 2), _convolution(quarter, quarter))
        self.tell = nn.Linear(2 * modalities * 3 + 1, quarter)
        self.up = nn.ModuleList(
            (nn.Conv2d(quarter, half, 1), nn.Conv2d(half, width, 1)),
        )
        self.join = nn.ModuleList((_convolution(half, half), _convolution(width, width)))
        self.logit = nn.Conv2d(width, 1, 1)

    def forward(self, view: View, prompts: Prompts) -> Tensor:  # noqa: ARG002
        """Return logits ``Bx1xhxw``; see :class:`Segmenter`."""
        objects, canvas = _begun(prompts)
        if not objects.picture:
            return canvas
        told = torch.cat([objects.levels.flatten(1), objects.upright], 1)
        logits = self._segment(self._compare(objects), told)
        if not self.training:
            logits = _believed(logits, objects.shapes)
        return lay(logits, objects.picture, objects.areas, canvas)

    def _compare(self, objects: Objects) -> Tensor:
        """Return what every cell of every area shows, ``MxCx48x32``."""
        pictures, maps = objects.pictures, objects.maps
        own, around = objects.features.unbind(1)
        aside = maps - around[..., None, None]
        way = own - around
        along = torch.einsum("mkchw,mkc->mkhw", aside, way)
        along = along / (way.square().sum(2)[..., None, None] + _EPS)
        narrow = self.narrow(aside.flatten(1, 2).movedim(1, 3)).movedim(3, 1)
        return torch.cat(
            [
                pictures,
                between(pictures, objects.levels),
                along.clamp(*_RANGE),
                narrow,
                objects.shapes,
                _places(pictures),
            ],
            1,
        )

    def _segment(self, seen: Tensor, told: Tensor) -> Tensor:
        fine = self.fine(seen)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        x = coarse + self.tell(told)[..., None, None]
        for up, join, beside in zip(self.up, self.join, (middle, fine), strict=True):
            wide = F.interpolate(up(x), scale_factor=2, mode="bilinear", align_corners=False)
            x = join(F.relu(wide + beside))
        logits: Tensor = self.logit(x).float()
        return logits


class ShapeSegmenter(nn.Module):
    """Takes the shape of each prompt for its object, without a look at the pictures.

    The baseline with which segmenters are compared.
    """

    def forward(self, view: View, prompts: Prompts) -> Tensor:  # noqa: ARG002
        """Return logits ``Bx1xhxw``; see :class:`Segmenter`."""
        objects, canvas = _begun(prompts)
        return lay(_certain(objects.shapes), objects.picture, objects.areas, canvas)


def _begun(prompts: Prompts) -> tuple[Objects, Tensor]:
    """Return the objects whose shape is to be found, and logits in which all others are."""
    assert prompts.objects is not None, "this segmenter reads prompts of objects"
    assert prompts.exact is not None, "prompts of objects tell of shapes as well"
    return prompts.objects.given_by_boxes(), _certain(prompts.exact.float())


def between(pictures: Tensor, levels: Tensor) -> Tensor:
    """Return where ``MxKxhxw`` lie between the surround (0) and the object (1) of each prompt.

    The surround is its median, the object its brightest or darkest tenth, whichever is further.

    Args:
        pictures: What to compare.
        levels: See :class:`Objects`.
    """
    around = levels[:, 1, :, 1]
    dark, bright = (levels[:, 0, :, end] - around for end in (0, 2))
    contrast = torch.where(bright >= -dark, bright, dark)
    size = contrast.abs().clamp_min(_LEAST_CONTRAST)
    contrast = torch.where(contrast < 0, -size, size)
    return ((pictures - around[..., None, None]) / contrast[..., None, None]).clamp(*_RANGE)


def _believed(logits: Tensor, shapes: Tensor) -> Tensor:
    shared = (shapes * (logits > 0)).sum((1, 2, 3), keepdim=True)
    unknown = shared < _LEAST_FOUND * shapes.sum((1, 2, 3), keepdim=True)
    return torch.where(unknown, _certain(shapes), logits)


def _certain(shapes: Tensor) -> Tensor:
    return _NOWHERE * (1 - 2 * shapes)


def _places(like: Tensor) -> Tensor:
    """Return row and column of each cell, from -1 to 1, ``Mx2xhxw``."""
    rows, columns = (torch.linspace(-1, 1, edge, device=like.device) for edge in like.shape[-2:])
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    return grid.expand(len(like), -1, -1, -1)


def _convolution(fan_in: int, fan_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(fan_in, fan_out, 3, stride=stride, padding=1), nn.ReLU(inplace=True)
    )
