"""Batches of crops of pairs, which any step can recompute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_core.types import UInt8Image
from fusion_lab.data import Example
from fusion_lab.metrics import to_gray
from fusion_lab.training.augment import Augmentation, augment_pair
from fusion_lab.training.losses import saliency


class PairBatch(NamedTuple):
    """Crops, ``Bx1xHxW`` float32 in [0, 1] each.

    Attributes:
        thermal: Crops of the second pictures.
        visible: Luma crops of the first pictures.
        salient: Saliency of the thermal pictures the crops came from; 0 for other pairs.
    """

    thermal: Tensor
    visible: Tensor
    salient: Tensor


def pair_planes(example: Example) -> UInt8Image:
    """Return ``HxWx3`` uint8: second luma, first luma, saliency of the whole second times 255.

    Only thermal pictures have a saliency; that of other pairs is 0.
    """
    first, second = to_gray(example.first), to_gray(example.second)
    salient = np.zeros_like(second)
    if example.task == "vif":
        hot = torch.from_numpy(second).float()[None, None] / 255
        salient = np.rint(saliency(hot)[0, 0].numpy() * 255).astype(np.uint8)
    return np.dstack([second, first, salient])


def make_pair_batch(
    pictures: Sequence[UInt8Image],
    augmentation: Augmentation,
    *,
    size: int,
    crop: int,
    seed: int,
    step: int,
) -> PairBatch:
    """Return the crops of one step; they depend on nothing but the arguments.

    Args:
        pictures: Planes of the training pairs, see :func:`pair_planes`.
        augmentation: Ranges of the changes.
        size: Number of crops.
        crop: Edge of a crop in pixels.
        seed: Seed of the run.
        step: Step of the run.
    """
    rng = np.random.default_rng((seed, step))
    crops = []
    for _ in range(size):
        planes = pictures[int(rng.integers(len(pictures)))]
        square = crop_square(planes, augmentation.scale, crop, rng)
        crops.append(augment_pair(square, augmentation, rng))
    stacked = torch.from_numpy(np.stack(crops))
    return PairBatch(*(plane.contiguous() for plane in stacked.chunk(3, dim=1)))


def whole_pair_batch(planes: UInt8Image) -> PairBatch:
    """Return the planes of a pair, uncropped and unchanged, as a batch of one."""
    tensor = torch.from_numpy(planes).permute(2, 0, 1).float().div(255)[None]
    return PairBatch(*(plane.contiguous() for plane in tensor.chunk(3, dim=1)))


def crop_square(
    planes: UInt8Image, scale: tuple[float, float], crop: int, rng: np.random.Generator
) -> UInt8Image:
    """Return a random square of ``HxWxC``, resized to ``crop`` pixels.

    Its edge is ``crop`` times a number between those of ``scale``, at most the picture's.
    """
    height, width = planes.shape[:2]
    low, high = (math.log(edge) for edge in scale)
    edge = min(round(crop * math.exp(rng.uniform(low, high))), height, width)
    top, left = int(rng.integers(height - edge + 1)), int(rng.integers(width - edge + 1))
    square = planes[top : top + edge, left : left + edge]
    method = cv2.INTER_AREA if edge > crop else cv2.INTER_LINEAR
    # OpenCV resizes at most four planes at once.
    parts = (square[..., first : first + 3] for first in range(0, planes.shape[2], 3))
    return np.dstack([cv2.resize(part, (crop, crop), interpolation=method) for part in parts])
