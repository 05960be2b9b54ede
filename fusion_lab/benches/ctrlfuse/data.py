"""Labelled pairs with masks, as networks that take a mask are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from fusion_core.types import UInt8Image
from fusion_lab.data import Example, Needs, read_examples
from fusion_lab.training.prompting.batches import prompt_planes

SETS = ("msrs", "llvip", "video/0117_1620")
KINDS = ("person", "box", "hot")
"""Kinds of targets, in the order of the masks of a pair."""

_WIDTH = 800
_LEAST_AREA = 100


@dataclass(frozen=True, slots=True)
class MaskedPair:
    """One labelled pair with the masks of its targets.

    Attributes:
        example: The pair as read.
        planes: ``HxWx6`` uint8, see ``prompt_planes``; perhaps smaller than the pictures.
    """

    example: Example
    planes: UInt8Image

    def target(self, kind: int = 0) -> UInt8Image:
        """Return the mask of a kind, ``HxW`` in {0, 1}."""
        return np.asarray(self.planes[..., 3 + kind] > 127, np.uint8)


def read_masked(folder: Path) -> list[MaskedPair]:
    """Read the labelled pairs of a set with their masks.

    Raises:
        SourceError: The folder holds none, or a file is missing, torn or of another size.
    """
    examples = read_examples([folder], needs=Needs(labels=True, mask=True))
    return [MaskedPair(example, prompt_planes(example)) for example in examples]


def spread_evenly(pairs: Sequence[MaskedPair], limit: int, kind: int = 0) -> list[MaskedPair]:
    """Return up to so many pairs with a target of a kind, no wider than 800 pixels."""
    shown = [pair for pair in pairs if pair.target(kind).sum() > _LEAST_AREA]
    chosen = np.linspace(0, len(shown) - 1, min(limit, len(shown))).astype(int)
    return [_halved(shown[index]) for index in chosen]


def _halved(pair: MaskedPair) -> MaskedPair:
    """Return a pair at half its size until it is narrow enough."""
    planes = pair.planes
    while planes.shape[1] > _WIDTH:
        size = (planes.shape[1] // 2, planes.shape[0] // 2)
        parts = (planes[..., first : first + 3] for first in (0, 3))
        shrunk = [cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in parts]
        planes = np.dstack(shrunk).astype(np.uint8)
    return MaskedPair(pair.example, planes)
