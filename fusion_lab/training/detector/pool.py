"""The pairs that a run learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from fusion_lab.data import Example, Needs, read_examples
from fusion_lab.training.detector.rendered import render
from fusion_lab.training.parallel import ALONE, Team

_LABELLED: Final = Needs(labels=True)


@dataclass(frozen=True, slots=True)
class DetectionPool:
    """Recorded and rendered pairs to draw from."""

    recorded: Sequence[Example]
    rendered: Sequence[Example] = ()

    def draw(self, rendered: float, rng: np.random.Generator) -> Example:
        """Return one pair."""
        pairs = self.rendered if self.rendered and rng.random() < rendered else self.recorded
        return pairs[int(rng.integers(len(pairs)))]


def load_pool(
    folders: Sequence[Path], rendered: Path, seeds: int, team: Team = ALONE
) -> DetectionPool:
    """Load recorded pairs, and render streets of ``seeds`` seeds into a folder unless there.

    Raises:
        SourceError: A folder holds no labelled pair, or a file of one is missing or torn.
    """
    recorded = read_examples(folders, needs=_LABELLED)
    if not seeds:
        return DetectionPool(recorded)
    team.leader_first(lambda: render(rendered, seeds))
    return DetectionPool(recorded, read_examples([rendered], needs=_LABELLED))
