"""The pairs that a run learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from fusion_lab.data import Example, Needs, read_examples
from fusion_lab.training.detector.paste import Cutout, cut_people
from fusion_lab.training.detector.rendered import empty_grounds, render, render_aerial
from fusion_lab.training.loop import Place

_GROUNDS: Final = 200  # parts of recordings that ground seen from the air is made of
_LABELLED: Final = Needs(labels=True, mask=True)


@dataclass(frozen=True)
class DetectionPool:
    """Recorded and rendered pairs to draw from, and the people that can be cut out of them."""

    recorded: Sequence[Example]
    rendered: Sequence[Example] = ()
    aerial: Sequence[Example] = ()
    people: Sequence[Cutout] = field(init=False)

    def __post_init__(self) -> None:
        """Cut the people out."""
        object.__setattr__(self, "people", cut_people(self.recorded))

    def draw(self, rendered: float, aerial: float, rng: np.random.Generator) -> Example:
        """Return one pair: of the street or from the air, with these probabilities, or recorded."""
        pairs = self.recorded
        if self.rendered and rng.random() < rendered:
            pairs = self.rendered
        if self.aerial and rng.random() < aerial:
            pairs = self.aerial
        return pairs[int(rng.integers(len(pairs)))]


def load_pool(folders: Sequence[Path], place: Place, seeds: int, aerial: int = 0) -> DetectionPool:
    """Load recorded pairs, and render into the run's folder what does not lie there.

    Args:
        folders: Recorded pairs.
        place: Where the run lies; ``rendered/`` and ``aerial/`` are below its folder.
        seeds: Number of seeds whose streets are rendered.
        aerial: Number of pairs from the air.

    Raises:
        SourceError: A folder holds no labelled pair, or a file of one is missing or torn.
    """
    recorded = read_examples(folders, needs=_LABELLED)  # before the minutes that rendering takes
    streets, air = place.out / "rendered", place.out / "aerial"
    if seeds:
        place.team.leader_first(lambda: render(streets, seeds))
    if aerial:
        grounds = empty_grounds(recorded, _GROUNDS)
        place.team.leader_first(lambda: render_aerial(air, range(aerial), grounds))
    return DetectionPool(
        recorded,
        read_examples([streets], needs=_LABELLED) if seeds else (),
        read_examples([air], needs=_LABELLED) if aerial else (),
    )
