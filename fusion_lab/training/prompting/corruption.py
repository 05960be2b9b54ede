"""Faults of given masks: too small, too large, boxes, objects left out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from pydantic import ConfigDict

from fusion_core.types import UInt8Image


@dataclass(frozen=True)
class MaskCorruption:
    """How prompts differ from what is meant; probabilities are per crop, and exclude each other.

    Attributes:
        erode: Probability that the mask is too small.
        dilate: Probability that it is too large.
        box: Probability that each object is given by its box.
        drop: Probability that half of the objects are left out; one always remains.
        reach: Largest erosion and dilation in pixels.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    erode: float = 0.15
    dilate: float = 0.15
    box: float = 0.2
    drop: float = 0.2
    reach: int = 6


def corrupt_mask(
    mask: UInt8Image, corruption: MaskCorruption, rng: np.random.Generator
) -> UInt8Image:
    """Return a mask as a user or a program might give it for this one, ``HxW`` in {0, 1}.

    Args:
        mask: ``HxW`` uint8 in {0, 1}.
        corruption: Ranges of the changes.
        rng: Source of the random choices.
    """
    kinds = (corruption.erode, corruption.dilate, corruption.box, corruption.drop)
    kind = int(np.searchsorted(np.cumsum(kinds), rng.random(), side="right"))
    reach = int(rng.integers(1, corruption.reach + 1))
    if kind == 0:
        return eroded(mask, reach)
    if kind == 1:
        return dilated(mask, reach)
    if kind == 2:
        return boxed(mask)
    return partial(mask, 0.5, rng) if kind == 3 else mask


def eroded(mask: UInt8Image, reach: int) -> UInt8Image:
    """Return the mask ``reach`` pixels smaller all round; as it is where nothing would remain."""
    smaller = np.asarray(cv2.erode(mask, _square(reach)), np.uint8)
    return smaller if smaller.any() else mask


def dilated(mask: UInt8Image, reach: int) -> UInt8Image:
    """Return the mask ``reach`` pixels larger all round."""
    return np.asarray(cv2.dilate(mask, _square(reach)), np.uint8)


def boxed(mask: UInt8Image) -> UInt8Image:
    """Return the filled bounding box of every connected object."""
    boxes = np.zeros_like(mask)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    for x, y, width, height, _area in stats[1:]:
        boxes[y : y + height, x : x + width] = 1
    return boxes


def partial(mask: UInt8Image, share: float, rng: np.random.Generator) -> UInt8Image:
    """Return the mask without this share of its connected objects; at least one remains."""
    count, labels = cv2.connectedComponents(mask)
    kept = 1 + rng.permutation(count - 1)[: max(1, round((1 - share) * (count - 1)))]
    return np.isin(labels, kept).astype(np.uint8) if count > 1 else mask


def _square(reach: int) -> UInt8Image:
    return np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
