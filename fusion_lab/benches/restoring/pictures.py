"""The degraded pictures of the fixed test set, with clean references."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusion_core.priors import PriorProvider, assess_pair
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.types import AlignedPair, ScenePrior, UInt8Image
from fusion_lab.data import aligned_pair, pair_files, read_example
from fusion_lab.training.degradations import Degrader
from fusion_lab.training.degradations.testset import Case, cases, cut

GROUPS = ("clean", "haze", "rain", "snow", "smoke", "low_light", "mixed")


@dataclass(frozen=True, slots=True, eq=False)
class CleanPicture:
    """A pair as it was recorded.

    Attributes:
        visible: ``HxWx3`` uint8 RGB.
        thermal: ``HxW`` uint8.
        pair: Both, registered.
        prior: What the embedded provider gives for the pair.
    """

    visible: UInt8Image
    thermal: UInt8Image
    pair: AlignedPair
    prior: ScenePrior


@dataclass(frozen=True, slots=True)
class DegradedPicture:
    """One degraded picture and its clean references.

    Attributes:
        group: One of ``GROUPS``.
        pair: The degraded visible picture with its thermal one, registered.
        prior: What the embedded provider gives for the pair.
        clean: What it was made from.
    """

    group: str
    pair: AlignedPair
    prior: ScenePrior
    clean: CleanPicture


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
    clean: CleanPicture | None = None
    for case in cases(data):
        place = order.setdefault((case.folder, case.stem), len(order))
        group = group_of(case)
        if case.modality == "visible" and group in GROUPS and place % every == 0:
            # Every picture's first case is the picture as it is.
            if clean is None or group == "clean":
                clean = clean_picture(*_read(data / case.folder, case.stem), provider)
            shown = degrade_picture(clean.visible, case.severities, case.seed)
            pair = aligned_pair(shown, clean.thermal)
            yield DegradedPicture(group, pair, assess_pair(provider, pair), clean)


def clean_picture(
    visible: UInt8Image, thermal: UInt8Image, provider: PriorProvider
) -> CleanPicture:
    """Return a recorded pair with its prior."""
    pair = aligned_pair(visible, thermal)
    return CleanPicture(visible, thermal, pair, assess_pair(provider, pair))


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


def _read(folder: Path, stem: str) -> tuple[UInt8Image, UInt8Image]:
    """Return the visible and the thermal picture of a case."""
    files = next(files for files in pair_files(folder) if files.stem == stem)
    pair = read_example(files)
    return cut(pair.first), cut(pair.second)
