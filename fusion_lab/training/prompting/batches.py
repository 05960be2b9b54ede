"""Batches of crops with prompts, which any step can recompute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fusion_core.detection.labels import CLASSES
from fusion_core.masks import hot_regions
from fusion_core.masks.regions import fill_boxes, object_regions
from fusion_core.types import FloatImage, Mask, UInt8Image
from fusion_lab.data import Example
from fusion_lab.data.labels import PERSON
from fusion_lab.training.augment import Augmentation, augment_pair
from fusion_lab.training.batches import PairBatch, crop_square, pair_planes
from fusion_lab.training.prompting.clothes import cool_clothes
from fusion_lab.training.prompting.corruption import MaskCorruption, corrupt_mask, partial
from fusion_lab.training.prompting.things import draw_shape, paste_thing

_LEAST_AREA, _INSIDE, _TRIES = 24, 127, 3
# How often the target is persons, vehicles and cycles, or hot regions where a crop shows all.
_SHARES = (0.6, 0.25, 0.15)
# Of vehicles and cycles only the boxes are known. They fill these but for the corners: the shape
# that is learnt is |x|^p + |y|^p <= 1 with this p, 0.93 of the box.
_ROUND = 4
# How often a thing is pasted into a crop and meant, and how often a place where nothing is.
_PASTED, _PLACE = 0.25, 0.08
# How often a crop's people may wear cold clothes.
_COLD = 0.4
# A mask is a person's whole silhouette where it fills so much of the box, and of its height.
_FILLED, _HIGH = (0.25, 0.95), 0.8


class PromptBatch(NamedTuple):
    """Crops, a prompt for each, and its target.

    Attributes:
        pictures: The crops.
        prompt: ``Bx1xHxW`` in {0, 1}, the mask that is given; empty without a target.
        target: ``Bx1xHxW`` in {0, 1}, what is meant by it.
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


def training_planes(example: Example) -> UInt8Image:
    """Return the planes of a pair as in :func:`prompt_planes`, with shapes to learn.

    Persons whose mask shows a part of them have the silhouette in their box instead where that
    shows all of them, and are left out otherwise. Boxes of vehicles and cycles are rounded.
    """
    planes = prompt_planes(example)
    assert example.labels is not None, "prompts are made from labelled pairs"
    thermal = planes[..., 0].astype(np.float32) / np.float32(255)
    persons = np.zeros_like(planes[..., 3])
    for left, top, right, bottom in example.labels.of(PERSON):
        box = (float(left), float(top), float(right - left), float(bottom - top))
        silhouette = object_regions(thermal, [box], *thermal.shape) > 0
        inside = fill_boxes([box], *thermal.shape) > 0
        for shape in (inside & (planes[..., 3] > _INSIDE), silhouette):
            if _is_whole(shape, inside):
                persons[shape] = 255
                break
    planes[..., 3] = persons
    planes[..., 4] = _boxes(example, rounded=True)
    return planes


def _is_whole(shape: Mask, inside: Mask) -> bool:
    share = shape.sum() / max(1, inside.sum())
    heights = [each.any(1).sum() for each in (shape, inside)]
    return bool(_FILLED[0] < share < _FILLED[1] and heights[0] > _HIGH * heights[1])


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
        if rng.random() < _COLD:
            planes[0] = cool_clothes(planes[0], planes[3] > 0.5, rng)
        target, prompt = _meant(planes, corruption, rng)
        crops.append(planes[:3])
        prompts.append(prompt)
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


def _meant(
    planes: FloatImage, corruption: MaskCorruption, rng: np.random.Generator
) -> tuple[UInt8Image, UInt8Image]:
    """Return what is meant in ``6xHxW`` planes, which may get something pasted in, and a prompt."""
    kind = rng.random()
    if kind < _PLACE:
        place = draw_shape(planes.shape[1:], rng)
        return place, place
    if kind < _PLACE + _PASTED:
        target = paste_thing(planes[:3], rng)
    else:
        target = _chosen_mask(planes[3:], rng)
        if rng.random() < corruption.half:
            target = partial(target, 0.5, rng)
    return target, corrupt_mask(target, corruption, rng)


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


def _boxes(example: Example, *, rounded: bool = False) -> UInt8Image:
    """Return the filled boxes of vehicles and cycles, or the rounded shapes in them."""
    mask = np.zeros(example.second.shape[:2], np.uint8)
    assert example.labels is not None, "prompts are made from labelled pairs"
    for box, kind in zip(example.labels.boxes, example.labels.classes, strict=True):
        if kind > 0 and CLASSES[kind] != "person":
            left, top, right, bottom = (max(0, round(float(edge))) for edge in box)
            part = mask[top:bottom, left:right]
            part[_rounded(*part.shape) if rounded else ...] = 255
    return mask


def _rounded(height: int, width: int) -> Mask:
    """Return which pixels of a box lie in the rounded shape that fills it."""
    y, x = (np.abs((np.arange(edge) + 0.5) / edge * 2 - 1) ** _ROUND for edge in (height, width))
    return np.asarray(y[:, None] + x <= 1)
