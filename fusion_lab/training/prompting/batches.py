"""Batches of crops with prompts, which any step can recompute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fusion_core.detection.labels import CLASSES
from fusion_core.masks import hot_regions
from fusion_core.types import FloatImage, UInt8Image
from fusion_lab.data import Example
from fusion_lab.training.augment import Augmentation, augment_pair
from fusion_lab.training.batches import PairBatch, crop_square, pair_planes
from fusion_lab.training.prompting.corruption import MaskCorruption, corrupt_mask

_LEAST_AREA, _INSIDE, _TRIES = 24, 127, 3
# How often the target is persons, boxes or hot regions where a crop shows them all.
_SHARES = (0.6, 0.2, 0.2)


class PromptBatch(NamedTuple):
    """Crops, a prompt for each, and its target.

    Attributes:
        pictures: The crops.
        prompt: ``Bx1xHxW`` in {0, 1}, the mask that is given; empty without a target.
        target: ``Bx1xHxW`` in {0, 1}, the whole class that the prompt was made from.
    """

    pictures: PairBatch
    prompt: Tensor
    target: Tensor


def prompt_planes(example: Example) -> UInt8Image:
    """Return the planes of a pair and the masks of its possible targets.

    Args:
        example: A labelled pair; without a mask it has no persons as targets.

    Returns:
        ``HxWx6`` uint8: see :func:`pair_planes`, then masks of 0 and 255: persons, boxes of
        vehicles and cycles, hot regions.
    """
    planes = pair_planes(example)
    thermal = planes[..., 0]
    persons = np.zeros_like(thermal) if example.mask is None else example.mask
    hot = (hot_regions(thermal.astype(np.float32) / np.float32(255)) * 255).astype(np.uint8)
    return np.dstack([planes, persons, _boxes(example), hot])


def make_prompt_batch(
    pictures: Sequence[UInt8Image],
    augmentation: Augmentation,
    corruption: MaskCorruption,
    *,
    size: int,
    crop: int,
    seed: int,
    step: int,
) -> PromptBatch:
    """Return the crops of one step; they depend on nothing but the arguments.

    Args:
        pictures: Planes of the training pairs, see :func:`prompt_planes`.
        augmentation: Ranges of the changes to the pictures.
        corruption: Ranges of the changes to the masks.
        size: Number of crops.
        crop: Edge of a crop in pixels.
        seed: Seed of the run.
        step: Step of the run.
    """
    rng = np.random.default_rng((seed, step))
    crops, prompts, targets = [], [], []
    for _ in range(size):
        whole = pictures[int(rng.integers(len(pictures)))]
        planes = augment_pair(_crop(whole, augmentation, crop, rng), augmentation, rng)
        target = _chosen_mask(planes[3:], rng)
        crops.append(planes[:3])
        prompts.append(corrupt_mask(target, corruption, rng))
        targets.append(target)
    stacked = torch.from_numpy(np.stack(crops))
    batch = PairBatch(*(plane.contiguous() for plane in stacked.chunk(3, dim=1)))
    return PromptBatch(batch, _stack(prompts), _stack(targets))


def whole_prompt_batch(planes: UInt8Image, *, kind: int = 0) -> PromptBatch:
    """Return the planes of a pair uncropped as a batch of one; its prompt is one mask, unchanged.

    Args:
        planes: See :func:`prompt_planes`.
        kind: 0 persons, 1 boxes, 2 hot regions.
    """
    tensor = torch.from_numpy(planes).permute(2, 0, 1).float().div(255)[None]
    pictures = PairBatch(*(plane.contiguous() for plane in tensor[:, :3].chunk(3, dim=1)))
    mask = (tensor[:, 3 + kind : 4 + kind] > 0.5).float()
    return PromptBatch(pictures, mask, mask)


def _crop(
    planes: UInt8Image, augmentation: Augmentation, crop: int, rng: np.random.Generator
) -> UInt8Image:
    """Return a random crop, of a few the first that shows a person where the pair has one."""
    for _ in range(_TRIES):
        found = crop_square(planes, augmentation.scale, crop, rng)
        if (found[..., 3] > _INSIDE).sum() >= _LEAST_AREA or not planes[..., 3].any():
            break
    return found


def _chosen_mask(masks: FloatImage, rng: np.random.Generator) -> UInt8Image:
    """Return the mask of one kind, ``HxW`` in {0, 1}; persons are chosen most often."""
    found = masks > 0.5
    shares = np.array(_SHARES) * (found.sum((1, 2)) >= _LEAST_AREA)
    if not shares.any():
        return np.zeros(masks.shape[1:], np.uint8)
    chosen = found[int(rng.choice(len(_SHARES), p=shares / shares.sum()))]
    return np.asarray(chosen, np.uint8)


def _stack(masks: list[UInt8Image]) -> Tensor:
    return torch.from_numpy(np.stack(masks)[:, None].astype(np.float32))


def _boxes(example: Example) -> UInt8Image:
    """Return the filled boxes of vehicles and cycles."""
    mask = np.zeros(example.second.shape[:2], np.uint8)
    assert example.labels is not None, "prompts are made from labelled pairs"
    for box, kind in zip(example.labels.boxes, example.labels.classes, strict=True):
        if kind > 0 and CLASSES[kind] != "person":
            left, top, right, bottom = (round(float(edge)) for edge in box)
            mask[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = 255
    return mask
