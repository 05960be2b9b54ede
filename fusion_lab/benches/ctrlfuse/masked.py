"""Labelled pairs with the masks of their possible targets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fusion_core.types import UInt8Image
from fusion_lab.data import Needs, read_examples
from fusion_lab.training.prompting.batches import prompt_planes


@dataclass(frozen=True, slots=True, eq=False)
class MaskedPair:
    """One labelled pair.

    Attributes:
        scene: Name of its recording.
        name: Stem of its files, or number of the frame.
        visible: ``HxWx3`` uint8 RGB.
        planes: ``HxWx6`` uint8: thermal, visible luma and saliency, then masks of 0 and 255 for
            persons, boxes of vehicles and cycles, and hot regions.
    """

    scene: str
    name: str
    visible: UInt8Image
    planes: UInt8Image


def read_masked(folder: Path) -> list[MaskedPair]:
    """Read the labelled pairs of a folder, or the labelled frames of its videos.

    Raises:
        SourceError: The folder holds none, or a file is missing or torn.
    """
    return [
        MaskedPair(example.scene, example.name, example.first, prompt_planes(example))
        for example in read_examples([folder], "vif", Needs(labels=True, mask=True))
    ]
