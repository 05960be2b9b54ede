"""How complete the reference masks of people are, by what is clearly warm in their boxes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fusion_core.masks.regions import fill_boxes, surround_of
from fusion_core.types import FloatImage, Mask
from fusion_lab.benches.ctrlfuse.clicks import people_of
from fusion_lab.benches.ctrlfuse.data import MaskedPair
from fusion_lab.benches.tables import Table
from fusion_lab.data import Example

# Shares of the way from the median of a box's surround to the hottest tenth in it.
_WARM, _COLD, _HOTTEST = 0.5, 0.1, 0.9
_LEAST_CONTRAST = 0.04


@dataclass(frozen=True, slots=True)
class ReferenceQuality:
    """How far reference masks and what is clearly warm agree, means over the people of one set.

    Attributes:
        dataset: Name of the set.
        people: Number of people with a mask who stand out from their surround.
        warm: Share of the clearly warm pixels in their boxes that the masks mark.
        cold: Share of what the masks mark that is as cold as the surround.
        reachable: IoU of a mask with itself and all that is clearly warm in the box.
    """

    dataset: str
    people: int
    warm: float
    cold: float
    reachable: float


def measure_references(sets: Mapping[str, list[MaskedPair]]) -> tuple[ReferenceQuality, ...]:
    """Return how complete the masks of every set that shows people are."""
    found = []
    for dataset, pairs in sets.items():
        rows = [row for pair in pairs for row in _rows(pair.example)]
        if rows:
            warm, cold, reachable = (float(value) for value in np.mean(rows, axis=0))
            found.append(ReferenceQuality(dataset, len(rows), warm, cold, reachable))
    return tuple(found)


def references_table(found: Sequence[ReferenceQuality]) -> Table:
    """Return the figures as a table."""
    head = ("set", "people", "warm that is marked", "marked that is cold", "IoU with all warm")
    rows = tuple((row.dataset, row.people, row.warm, row.cold, row.reachable) for row in found)
    return Table("Reference masks of people", head, rows)


def _rows(example: Example) -> Iterator[tuple[float, float, float]]:
    thermal = example.second.astype(np.float32) / np.float32(255)
    for box, mask in people_of(example):
        inside = fill_boxes([box], *thermal.shape) > 0
        ring = surround_of(box, inside)
        if not ring.any():
            continue
        low = float(np.median(thermal[ring]))
        contrast = float(np.quantile(thermal[inside], _HOTTEST)) - low
        if contrast >= _LEAST_CONTRAST:
            yield _agreement((thermal - low) / contrast, inside, mask)


def _agreement(level: FloatImage, inside: Mask, mask: Mask) -> tuple[float, float, float]:
    warm = inside & (level > _WARM)
    return (
        float((mask & warm).sum() / warm.sum()),
        float((level[mask] < _COLD).mean()),
        float(mask.sum() / (mask | warm).sum()),
    )
