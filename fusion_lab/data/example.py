"""One decoded pair with all that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusion_core.types import AlignedPair, UInt8Image
from fusion_lab.data.labels import BoxLabels
from fusion_lab.data.layout import FusionTask


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One registered pair; every picture lies on the grid of the first.

    Attributes:
        first: Visible, under-exposed or the one focus: ``HxWx3`` uint8 RGB, or ``HxW`` luma where
            only luma was read.
        second: Thermal: ``HxW`` uint8. Over-exposed or the other focus: as ``first``.
        target: What fusion should give, as ``first``; None where there is no ``gt/``.
        task: What the pair is for.
        text: What a user would write about it, from ``text/STEM.txt``; empty where there is none.
        mask: ``HxW`` uint8, 255 where something matters, from ``masks/STEM.png``; None without.
        labels: Boxes from ``labels/STEM.csv`` or ``.txt``; None where they were not read.
        folder: Folder that the pair was read from.
        name: Stem of its files, or number of the frame.
        scene: Name of the recording it belongs to; pairs of one scene never get separated.
    """

    first: UInt8Image
    second: UInt8Image
    target: UInt8Image | None
    task: FusionTask
    text: str
    mask: UInt8Image | None
    labels: BoxLabels | None
    folder: Path
    name: str
    scene: str


def aligned_pair(visible: UInt8Image, thermal: UInt8Image, stamp_ns: int = 0) -> AlignedPair:
    """Return two registered pictures as the pair that the pipeline would hand on."""
    luminance = np.ascontiguousarray(thermal, np.float32) / np.float32(255)
    valid = np.ones(thermal.shape, np.bool_)
    return AlignedPair(stamp_ns, np.ascontiguousarray(visible), luminance, valid)


def split_by_scene(
    examples: Sequence[Example], share: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """Split into training and validation so that no scene is in both.

    A clip is one scene; in a folder that holds pairs directly every pair is one. Whole scenes are
    drawn until at least ``share`` of the pairs are held out; one always remains for training.

    Args:
        examples: Pairs of any number of scenes.
        share: Part to hold out, in [0, 1).
        seed: Seed of the draw.
    """
    scenes = sorted({example.scene for example in examples})
    order = np.random.default_rng(seed).permutation(len(scenes))
    held: set[str] = set()
    for index in order[:-1]:
        if sum(example.scene in held for example in examples) >= share * len(examples):
            break
        held.add(scenes[index])
    kept = [example for example in examples if example.scene not in held]
    return kept, [example for example in examples if example.scene in held]
