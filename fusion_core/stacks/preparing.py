"""Order, alignment and ghosts of a stack, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from fusion_core.stacks.alignment import Alignment, align_picture, shift_picture
from fusion_core.stacks.exposures import best_exposed
from fusion_core.stacks.ghosts import moving_in_exposures, moving_in_focus, replaced
from fusion_core.stacks.task import Task
from fusion_core.types import UInt8Image


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A stack on one grid, without what moved.

    Attributes:
        pictures: ``HxWx3`` uint8 RGB each, in the order in which they are fused: exposures from
            dark to bright, others as given.
        order: Their numbers as given.
        reference: Place among ``pictures`` of the one that stayed as it was.
        shifts_px: By how much each was moved, in pixels; 0 for none.
        replaced: Share of each that shows the reference's pixels, in [0, 1].
    """

    pictures: tuple[UInt8Image, ...]
    order: tuple[int, ...]
    reference: int
    shifts_px: tuple[float, ...]
    replaced: tuple[float, ...]


def prepare_stack(
    pictures: Sequence[UInt8Image],
    task: Task,
    *,
    align: bool = True,
    still: bool = True,
    reference: int | None = None,
    live: bool = False,
) -> Prepared:
    """Return a stack ready to be fused.

    The reference is the best exposed picture (``mef``), or the first (``mff``). Visible and
    infrared pictures stay as they are: both are of one moment.

    Args:
        pictures: Two or more of ``HxWx3`` uint8 RGB, of one size, in any order.
        task: What they are for.
        align: Bring them onto the reference's grid, where that is surely better.
        still: Show what moved as the reference shows it.
        reference: Number of another reference among the pictures as given; None for the above.
        live: They are consecutive frames of a camera: only a shift is undone, which is quick.
    """
    order = tuple(range(len(pictures)))
    if task == "mef":
        order = tuple(sorted(order, key=lambda number: _brightness(pictures[number])))
    ordered = [pictures[number] for number in order]
    place_of = best_exposed(ordered) if task == "mef" else 0
    if reference is not None:
        place_of = order.index(reference)
    bring = (shift_picture if live else align_picture) if align else _as_it_is
    ready: list[UInt8Image] = []
    shifts, shares = [], []
    for place, picture in enumerate(ordered):
        if task == "vif" or place == place_of:
            ready.append(picture)
            shifts.append(0.0)
            shares.append(0.0)
            continue
        known = ordered[place_of]
        aligned = bring(picture, known)
        find = moving_in_exposures if task == "mef" else moving_in_focus
        moving = find(aligned.picture, known, aligned.valid) & still
        ready.append(
            replaced(aligned.picture, known, moving, aligned.valid, exposures=task == "mef")
        )
        shifts.append(aligned.shift_px)
        shares.append(float(np.mean(moving | ~aligned.valid)))
    return Prepared(tuple(ready), order, place_of, tuple(shifts), tuple(shares))


def _as_it_is(picture: UInt8Image, _reference: UInt8Image) -> Alignment:
    return Alignment(picture, np.ones(picture.shape[:2], bool), 0.0, 1.0)


def _brightness(picture: UInt8Image) -> float:
    return float(cv2.mean(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))[0])
