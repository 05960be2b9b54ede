"""Pairs with masks in memory, and batches of crops with prompts that any step can recompute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_core.detection.labels import CLASSES
from fusion_core.errors import SourceError
from fusion_core.masks import hot_regions
from fusion_core.types import FloatImage, UInt8Image
from fusion_lab.training.augment import Augmentation, augment_pair
from fusion_lab.training.dataset import Batch, crop_square
from fusion_lab.training.detector.data import LabelledPair, load_labelled
from fusion_lab.training.losses import saliency
from fusion_lab.training.prompting.masks import Spoiling, spoil

_LEAST_AREA, _INSIDE, _TRIES = 24, 127, 3
# How often persons, boxes and hot regions are asked for where a crop shows them all.
_SHARES = (0.6, 0.2, 0.2)


@dataclass(frozen=True, slots=True)
class MaskedPair:
    """One registered pair and what in it can be asked for.

    Attributes:
        scene: Name of the recording it belongs to; pairs of one scene never get separated.
        name: Where its labels lie, without suffix.
        planes: ``HxWx6`` uint8: thermal, visible luma, saliency of the whole thermal picture times
            255, then masks of 0 and 255: persons, boxes of vehicles and cycles, hot regions.
    """

    scene: str
    name: str
    planes: UInt8Image


class PromptBatch(NamedTuple):
    """Crops, what is asked for in each, and what was meant.

    Attributes:
        pictures: The crops.
        prompt: ``Bx1xHxW`` in {0, 1}, the mask that is given; empty where nothing is asked for.
        target: ``Bx1xHxW`` in {0, 1}, the whole class that the prompt was made from.
    """

    pictures: Batch
    prompt: Tensor
    target: Tensor


def load_masked(folders: Sequence[Path]) -> list[MaskedPair]:
    """Decode all labelled pairs of the folders and their masks.

    Args:
        folders: As for the detector, with ``masks/<stem>.png`` of persons beside ``labels/``; a
            pair without a mask has no persons to ask for.

    Raises:
        SourceError: A folder holds no labelled pair, or a file is missing, torn or of another size.
    """
    return [_masked(pair, folder) for folder in folders for pair in load_labelled([folder])]


def make_prompt_batch(
    pairs: Sequence[MaskedPair],
    augmentation: Augmentation,
    spoiling: Spoiling,
    *,
    size: int,
    crop: int,
    seed: int,
    step: int,
) -> PromptBatch:
    """Return the crops of one step; they depend on nothing but the arguments.

    Args:
        pairs: Training pairs.
        augmentation: Ranges of the changes to the pictures.
        spoiling: Ranges of the changes to the masks.
        size: Number of crops.
        crop: Edge of a crop in pixels.
        seed: Seed of the run.
        step: Step of the run.
    """
    rng = np.random.default_rng((seed, step))
    pictures, prompts, targets = [], [], []
    for _ in range(size):
        pair = pairs[int(rng.integers(len(pairs)))]
        planes = augment_pair(_crop(pair.planes, augmentation, crop, rng), augmentation, rng)
        target = _wanted(planes[3:], rng)
        pictures.append(planes[:3])
        prompts.append(spoil(target, spoiling, rng))
        targets.append(target)
    stacked = torch.from_numpy(np.stack(pictures))
    batch = Batch(*(plane.contiguous() for plane in stacked.chunk(3, dim=1)))
    return PromptBatch(batch, _stack(prompts), _stack(targets))


def whole_masked(pair: MaskedPair, *, kind: int = 0) -> PromptBatch:
    """Return a pair uncropped as a batch of one; the prompt is its mask of one kind, unspoiled.

    Args:
        pair: The pair.
        kind: 0 persons, 1 boxes, 2 hot regions.
    """
    tensor = torch.from_numpy(pair.planes).permute(2, 0, 1).float().div(255)[None]
    pictures = Batch(*(plane.contiguous() for plane in tensor[:, :3].chunk(3, dim=1)))
    mask = (tensor[:, 3 + kind : 4 + kind] > 0.5).float()
    return PromptBatch(pictures, mask, mask)


def _crop(
    planes: UInt8Image, augmentation: Augmentation, crop: int, rng: np.random.Generator
) -> UInt8Image:
    """Return a random crop, of a few the first that shows a person where the pair has one."""
    for _ in range(_TRIES):
        found = crop_square(planes, augmentation, crop, rng)
        if (found[..., 3] > _INSIDE).sum() >= _LEAST_AREA or not planes[..., 3].any():
            break
    return found


def _wanted(masks: FloatImage, rng: np.random.Generator) -> UInt8Image:
    """Return the mask of one kind, ``HxW`` in {0, 1}; persons are asked for most often."""
    found = masks > 0.5
    shares = np.array(_SHARES) * (found.sum((1, 2)) >= _LEAST_AREA)
    if not shares.any():
        return np.zeros(masks.shape[1:], np.uint8)
    chosen = found[int(rng.choice(len(_SHARES), p=shares / shares.sum()))]
    return np.asarray(chosen, np.uint8)


def _stack(masks: list[UInt8Image]) -> Tensor:
    return torch.from_numpy(np.stack(masks)[:, None].astype(np.float32))


def _masked(pair: LabelledPair, folder: Path) -> MaskedPair:
    file = Path(pair.name)
    clip = file.parents[1]
    single = clip == folder and not (clip / "vi.mp4").is_file()
    luma = cv2.cvtColor(pair.planes[..., :3], cv2.COLOR_RGB2GRAY)
    thermal = pair.planes[..., 3]
    scaled = thermal.astype(np.float32) / np.float32(255)
    salient = saliency(torch.from_numpy(scaled)[None, None])[0, 0].numpy()
    planes = [
        thermal,
        luma,
        np.rint(salient * 255).astype(np.uint8),
        _persons(clip / "masks" / f"{file.name}.png", luma.shape),
        _boxes(pair),
        (hot_regions(scaled) * 255).astype(np.uint8),
    ]
    scene = pair.name if single else str(clip)
    return MaskedPair(scene, pair.name, np.dstack(planes))


def _persons(path: Path, shape: tuple[int, ...]) -> UInt8Image:
    """Return the mask of persons; all zero where there is none."""
    if not path.is_file():
        return np.zeros(shape, np.uint8)
    mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise SourceError(f"{path}: cannot be decoded as an image; replace or remove the mask")
    if mask.shape != shape:
        raise SourceError(
            f"{path}: {mask.shape[1]}x{mask.shape[0]} but its pictures are {shape[1]}x{shape[0]}; "
            "masks lie on the pictures' grid"
        )
    return np.asarray(mask, np.uint8)


def _boxes(pair: LabelledPair) -> UInt8Image:
    """Return the filled boxes of vehicles and cycles."""
    mask = np.zeros(pair.planes.shape[:2], np.uint8)
    for box, kind in zip(pair.labels.boxes, pair.labels.classes, strict=True):
        if kind > 0 and CLASSES[kind] != "person":
            left, top, right, bottom = (round(float(edge)) for edge in box)
            mask[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = 255
    return mask
