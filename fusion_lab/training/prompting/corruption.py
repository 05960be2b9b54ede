"""How masks are given: exact, too small, too large, as boxes or discs, of some objects only."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from pydantic import ConfigDict

from fusion_core.types import UInt8Image

_BOX_EXCESS = 3


@dataclass(frozen=True)
class MaskCorruption:
    """How prompts differ from what is meant.

    Attributes:
        erode: Probability that the mask of a crop is too small.
        dilate: Probability that it is too large.
        box: Probability that each object is given by a box, up to 3 pixels too large.
        disc: Probability that each is given by a disc around its middle, as a click is.
        half: Probability that half of the objects are not meant; independent of the others.
        reach: Largest erosion and dilation in pixels.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    erode: float = 0.15
    dilate: float = 0.1
    box: float = 0.35
    disc: float = 0.1
    half: float = 0.25
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
    kinds = (corruption.erode, corruption.dilate, corruption.box, corruption.disc)
    kind = int(np.searchsorted(np.cumsum(kinds), rng.random(), side="right"))
    reach = int(rng.integers(1, corruption.reach + 1))
    if kind == 0:
        return eroded(mask, reach)
    if kind == 1:
        return dilated(mask, reach)
    if kind == 2:
        excess = int(rng.integers(_BOX_EXCESS + 1))
        return boxed(dilated(mask, excess))
    return discs(mask, rng) if kind == 3 else mask


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


def discs(mask: UInt8Image, rng: np.random.Generator) -> UInt8Image:
    """Return a disc around the middle of every connected object, a quarter to half as high."""
    drawn = np.zeros_like(mask)
    _, _, stats, middles = cv2.connectedComponentsWithStats(mask)
    for (x, y), height in zip(middles[1:], stats[1:, cv2.CC_STAT_HEIGHT], strict=True):
        radius = max(1, round(height * rng.uniform(0.25, 0.5)))
        cv2.circle(drawn, (round(x), round(y)), radius, 1, -1)
    return drawn


def partial(mask: UInt8Image, share: float, rng: np.random.Generator) -> UInt8Image:
    """Return the mask without this share of its connected objects; at least one remains."""
    count, labels = cv2.connectedComponents(mask)
    kept = 1 + rng.permutation(count - 1)[: max(1, round((1 - share) * (count - 1)))]
    return np.isin(labels, kept).astype(np.uint8) if count > 1 else mask


def _square(reach: int) -> UInt8Image:
    return np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
