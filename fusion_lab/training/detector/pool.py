"""The pairs that a run learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusion_lab.training.detector.data import LabelledPair, load_labelled
from fusion_lab.training.detector.rendered import render


@dataclass(frozen=True, slots=True)
class Pool:
    """Recorded and rendered pairs to draw from."""

    recorded: Sequence[LabelledPair]
    rendered: Sequence[LabelledPair] = ()

    def draw(self, rendered: float, rng: np.random.Generator) -> LabelledPair:
        """Return one pair."""
        pairs = self.rendered if self.rendered and rng.random() < rendered else self.recorded
        return pairs[int(rng.integers(len(pairs)))]


def load_pool(folders: Sequence[Path], rendered: Path, seeds: int) -> Pool:
    """Load recorded pairs, and render streets of ``seeds`` seeds into a folder unless there.

    Raises:
        SourceError: A folder holds no labelled pair, or a file of one is missing or torn.
    """
    recorded = load_labelled(folders)
    if not seeds:
        return Pool(recorded)
    render(rendered, seeds)
    return Pool(recorded, load_labelled([rendered]))
