"""Crops of pairs of one task, which any step can recompute."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_core.types import FloatImage, UInt8Image
from fusion_lab.data import Example


@dataclass(frozen=True, slots=True, eq=False)
class TaskBatch:
    """Crops ``Bx3xHxW`` float32 in [0, 1].

    Attributes:
        first: First pictures, with ``vif`` the visible ones.
        second: Second pictures.
        target: What fusion should give; None for pairs without a target.
    """

    first: Tensor
    second: Tensor
    target: Tensor | None

    def to(self, device: str) -> TaskBatch:
        """Return the batch on a device."""
        target = None if self.target is None else self.target.to(device)
        return TaskBatch(self.first.to(device), self.second.to(device), target)


def example_planes(example: Example) -> UInt8Image:
    """Return ``HxWx6`` or, with a target, ``HxWx9`` uint8."""
    pictures = [example.first, example.second]
    if example.target is not None:
        pictures.append(example.target)
    return np.dstack([_colour(picture) for picture in pictures])


def make_task_batch(
    planes: Sequence[UInt8Image],
    *,
    size: int,
    crop: int,
    scale: tuple[float, float],
    seed: int,
    step: int,
) -> TaskBatch:
    """Return the crops of one step; they depend on nothing but the arguments.

    Args:
        planes: Of the pairs, see :func:`example_planes`; all with a target or none.
        size: Number of crops.
        crop: Edge of a crop in pixels.
        scale: Smallest and largest edge of a crop before resizing, in units of ``crop``.
        seed: Seed of the run.
        step: Step of the run.
    """
    rng = np.random.default_rng((seed, step))
    crops = [_crop(planes[int(rng.integers(len(planes)))], crop, scale, rng) for _ in range(size)]
    stack = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255
    return _batch(stack)


def whole_batch(planes: UInt8Image) -> TaskBatch:
    """Return a pair, uncropped and unchanged, as a batch of one."""
    stack = torch.from_numpy(planes).permute(2, 0, 1).float()[None] / 255
    return _batch(stack)


def _batch(stack: Tensor) -> TaskBatch:
    parts = [part.contiguous() for part in stack.chunk(stack.shape[1] // 3, dim=1)]
    return TaskBatch(parts[0], parts[1], parts[2] if len(parts) == 3 else None)


def _crop(
    planes: UInt8Image, crop: int, scale: tuple[float, float], rng: np.random.Generator
) -> UInt8Image:
    height, width = planes.shape[:2]
    low, high = (math.log(edge) for edge in scale)
    edge = min(round(crop * math.exp(rng.uniform(low, high))), height, width)
    top, left = int(rng.integers(height - edge + 1)), int(rng.integers(width - edge + 1))
    square = planes[top : top + edge, left : left + edge]
    method = cv2.INTER_AREA if edge > crop else cv2.INTER_LINEAR
    # OpenCV resizes at most four planes at once.
    parts = [
        square[..., first : first + 3]
        if edge == crop
        else cv2.resize(square[..., first : first + 3], (crop, crop), interpolation=method)
        for first in range(0, planes.shape[2], 3)
    ]
    turned = np.rot90(np.dstack(parts), int(rng.integers(4)))
    if rng.random() < 0.5:
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned, np.uint8)


def _colour(picture: UInt8Image | FloatImage) -> UInt8Image:
    grey = picture.ndim == 2
    return np.asarray(np.repeat(picture[..., None], 3, 2) if grey else picture, np.uint8)
