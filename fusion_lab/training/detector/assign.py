"""Which points answer for which object: task-aligned assignment (Feng et al., TOOD, ICCV 2021).

A point near an object is the better suited the surer it is of the object's class and the better its
box fits: t = p^alpha * iou^beta. The best points of every object are taught to find it, each with
the target t scaled to the best overlap, so that score and fit rise together.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from fusion_lab.training.detector.boxes import corners, pairwise_iou

_TOP: Final = 10
_ALPHA, _BETA = 0.5, 4.0
_REACH: Final = 1.5  # strides: a point this near to the middle may answer for a small object
_EPS: Final = 1e-9


class Objects(NamedTuple):
    """What one picture shows.

    Attributes:
        boxes: ``Gx4`` centre x, centre y, width, height in input pixels.
        classes: ``G`` int64 class of each.
        ignore: ``Ix4`` regions in which nothing is known, as ``boxes``.
    """

    boxes: Tensor
    classes: Tensor
    ignore: Tensor

    def to(self, device: str) -> Objects:
        """Return the same on a device."""
        return Objects(*(tensor.to(device) for tensor in self))


class Targets(NamedTuple):
    """What the points of one picture are taught.

    Attributes:
        scores: ``PxC`` class scores in [0, 1].
        weights: ``P`` 0 for points in regions where nothing is known, else 1.
        positive: Indices of the points that answer for an object.
        owner: The object of each of those.
    """

    scores: Tensor
    weights: Tensor
    positive: Tensor
    owner: Tensor


@torch.no_grad()
def assign(logits: Tensor, boxes: Tensor, points: Tensor, objects: Objects) -> Targets:
    """Return the targets of one picture.

    Args:
        logits: ``PxC`` class logits.
        boxes: ``Px4`` predicted boxes.
        points: ``Px3`` points and strides.
        objects: What is there.
    """
    weights = (~_inside(points, objects.ignore).any(1)).float()
    scores = torch.zeros_like(logits)
    empty = torch.zeros(0, dtype=torch.long, device=logits.device)
    if not len(objects.boxes):
        return Targets(scores, weights, empty, empty)
    near = _inside(points, _widened(objects.boxes, points))
    overlap = pairwise_iou(corners(boxes), corners(objects.boxes)) * near
    suited = logits.sigmoid()[:, objects.classes].pow(_ALPHA) * overlap.pow(_BETA)
    # Where no box overlaps yet, the nearest points still have to learn.
    distance = (points[:, None, :2] - objects.boxes[None, :, :2]).norm(dim=2)
    ranked = torch.where(near, suited + _EPS / (1 + distance), torch.zeros_like(suited))
    best = ranked.topk(min(_TOP, len(points)), dim=0)
    chosen = torch.zeros_like(near).scatter_(0, best.indices, best.values > 0)
    owner = torch.where(chosen, ranked, torch.full_like(ranked, -1)).argmax(1)
    positive = chosen.any(1).nonzero()[:, 0]
    owner = owner[positive]
    mine = torch.zeros_like(chosen)
    mine[positive, owner] = True
    suited, overlap = suited * mine, overlap * mine
    scaled = suited / suited.amax(0).clamp(min=_EPS) * overlap.amax(0)
    scores[positive, objects.classes[owner]] = scaled[positive, owner]
    weights[positive] = 1.0
    return Targets(scores, weights, positive, owner)


def _inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Return ``PxG``: which points lie in which boxes (``Gx4``, or ``PxGx4`` one per point)."""
    offset = (points[:, None, :2] - boxes[..., :2]).abs()
    return (offset < boxes[..., 2:] / 2).all(2)


def _widened(boxes: Tensor, points: Tensor) -> Tensor:
    """Return ``PxGx4``: the boxes, at least as large as the reach of each point's stride."""
    least = 2 * _REACH * points[:, None, 2:]
    sizes = torch.maximum(boxes[None, :, 2:], least.expand(-1, -1, 2))
    return torch.cat([boxes[None, :, :2].expand(len(points), -1, -1), sizes], 2)
