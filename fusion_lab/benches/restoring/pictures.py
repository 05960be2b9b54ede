"""The degraded pictures of the fixed test set, with clean references."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusion_core.priors import assess_pair
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.types import AlignedPair, ScenePrior, UInt8Image
from fusion_lab.benches.pictures import aligned_pair
from fusion_lab.data import pair_files, read_example
from fusion_lab.training.degradations import Degrader
from fusion_lab.training.degradations.testset import Case, cases, cut

GROUPS = ("clean", "haze", "rain", "snow", "smoke", "low_light", "mixed")


@dataclass(frozen=True, slots=True)
class DegradedPicture:
    """One degraded picture and its clean references.

    Attributes:
        group: One of ``GROUPS``.
        pair: The degraded visible picture with its thermal one, registered.
        prior: What the embedded provider gives for the pair.
        visible: The clean visible picture, ``HxWx3`` uint8 RGB.
        thermal: The thermal picture, ``HxW`` uint8.
    """

    group: str
    pair: AlignedPair
    prior: ScenePrior
    visible: UInt8Image
    thermal: UInt8Image


def read_degraded(data: Path, every: int = 1) -> Iterator[DegradedPicture]:
    """Iterate over the visible cases of the test set that are in ``GROUPS``.

    Args:
        data: Root of the test set's folders.
        every: Use every n-th pair.

    Raises:
        SourceError: A pair is incomplete.
    """
    provider = EmbeddedProvider()
    order: dict[tuple[str, str], int] = {}
    for case in cases(data):
        place = order.setdefault((case.folder, case.stem), len(order))
        group = group_of(case)
        if case.modality == "visible" and group in GROUPS and place % every == 0:
            visible, thermal = _clean_pictures(data / case.folder, case.stem)
            pair = aligned_pair(degrade_picture(visible, case.severities, case.seed), thermal)
            prior = assess_pair(provider, pair)
            yield DegradedPicture(group, pair, prior, visible, thermal)


def degrade_picture(visible: UInt8Image, severities: dict[str, float], seed: int) -> UInt8Image:
    """Return a degraded picture; the picture itself where nothing is done to it."""
    if not severities:
        return visible
    values = Degrader(severities, seed).apply(visible / np.float32(255))
    return np.rint(values.image * 255).astype(np.uint8)


def group_of(case: Case) -> str:
    """Return the name of a single degradation, ``clean`` or ``mixed``."""
    if len(case.severities) > 1:
        return "mixed"
    return next(iter(case.severities), "clean")


def _clean_pictures(folder: Path, stem: str) -> tuple[UInt8Image, UInt8Image]:
    """Return the visible and the thermal picture of a case."""
    files = next(files for files in pair_files(folder) if files.stem == stem)
    pair = read_example(files)
    return cut(pair.first), cut(pair.second)
