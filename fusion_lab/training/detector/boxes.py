"""Overlap of boxes."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_EPS = 1e-7


def corners(boxes: Tensor) -> Tensor:
    """Return ``...x4`` left, top, right, bottom of boxes given by centre and size."""
    half = boxes[..., 2:] / 2
    return torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], -1)


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return ``NxM`` intersection over union of ``Nx4`` and ``Mx4`` corners."""
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(2)
    areas = [(b[:, 2:] - b[:, :2]).prod(1) for b in (first, second)]
    return shared / (areas[0][:, None] + areas[1][None] - shared + _EPS)


def complete_iou(first: Tensor, second: Tensor) -> Tensor:
    """Return ``N`` complete IoU of pairs of ``Nx4`` boxes by centre and size, in (-1.5, 1].

    IoU, less the squared distance of the centres over the squared diagonal of the common hull,
    less the disagreement of the aspect ratios (Zheng et al., AAAI 2020, equations 7-11).
    """
    a, b = corners(first), corners(second)
    shared = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0)
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    common = shared.prod(1)
    iou = common / (first[:, 2:].prod(1) + second[:, 2:].prod(1) - common + _EPS)
    apart = (first[:, :2] - second[:, :2]).square().sum(1) / (hull.square().sum(1) + _EPS)
    angles = [torch.atan(box[:, 2] / (box[:, 3] + _EPS)) for box in (first, second)]
    aspect = 4 / math.pi**2 * (angles[0] - angles[1]).square()
    with torch.no_grad():
        trade = aspect / (1 - iou + aspect + _EPS)
    return iou - apart - trade * aspect
