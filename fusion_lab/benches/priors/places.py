"""What the provider answers on recordings as they are, place by place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion_core.priors.kinds import VISIBLE_KINDS, veil_probability
from fusion_core.priors.network import PriorNet
from fusion_lab.benches.tables import Table
from fusion_lab.training.priors.bases import Base
from fusion_lab.training.priors.heads import (
    HeadsRecipe,
    calibrate_heads,
    leave_places_out,
    place_of,
    read_bases,
    read_means,
)
from fusion_lab.training.priors.means import look_at
from fusion_lab.training.priors.samples import stack
from fusion_lab.training.recipe import read_recipe

TRAINED_ON: Final = ("roadscene/train", "sequences", "video", "mef", "mff")
HELD_OUT: Final = ("roadscene/val", "msrs", "llvip", "m3fd")
_CHUNK: Final = 200
_LIKELY: Final = 0.6  # from which consumers act
_HEAD: Final = (
    "place",
    "shows",
    "pictures",
    "p(smoke or haze)",
    "least",
    "most",
    "p(over-exposure)",
    "above 0.6",
    "p(low light)",
)


@dataclass(frozen=True, slots=True)
class PlaceAnswers:
    """Answers on the recorded pictures of one place that show the same.

    Attributes:
        place: Recording, or set of single pictures.
        shows: What the pictures show by themselves, as far as it is known.
        veil: ``N`` probabilities of smoke or haze.
        over_exposure: ``N`` probabilities.
        low_light: ``N`` probabilities.
    """

    place: str
    shows: str
    veil: NDArray[np.float64]
    over_exposure: NDArray[np.float64]
    low_light: NDArray[np.float64]

    def row(self) -> tuple[str | int | float, ...]:
        """Return cells under the head of the table."""
        return (
            self.place,
            self.shows,
            len(self.veil),
            float(self.veil.mean()),
            float(self.veil.min()),
            float(self.veil.max()),
            float(self.over_exposure.mean()),
            float((self.over_exposure > _LIKELY).mean()),
            float(self.low_light.mean()),
        )


def places_table(title: str, answers: Sequence[PlaceAnswers]) -> Table:
    """Return one row per place and what its pictures show."""
    return Table(title, _HEAD, tuple(entry.row() for entry in answers), digits=2)


def answer_places(net: PriorNet, data: Path) -> tuple[PlaceAnswers, ...]:
    """Return a network's answers on every place, also on those that it was trained on.

    Raises:
        SourceError: A folder is missing or holds no pictures.
    """
    recipe = read_recipe(HeadsRecipe, "prior-heads", {})
    bases = read_bases([data / name for name in (*TRAINED_ON, *HELD_OUT)], recipe)
    parts = []
    for first in range(0, len(bases), _CHUNK):
        chunk = bases[first : first + _CHUNK]
        samples = stack([(base.visible, base.present, base.unknown) for base in chunk], "visible")
        parts.append(look_at(net, samples))
    with torch.inference_mode():
        found = net.probabilities(net.judge(torch.cat(parts))[0])
    return _answers(bases, found)


def answer_left_out(net: PriorNet, data: Path, seed: int = 0) -> tuple[PlaceAnswers, ...]:
    """Return the answers on each place that was trained on, of heads refitted without it.

    Raises:
        SourceError: A folder is missing or holds no pictures.
    """
    recipe = read_recipe(HeadsRecipe, "prior-heads", {})
    bases = read_bases([data / name for name in TRAINED_ON], recipe)
    means = read_means(net, bases, recipe, seed)
    logits = torch.full_like(means.labels, float("nan"))
    for _, rows, found in leave_places_out(net, means, recipe, seed):
        logits[rows] = found
    seen = ~logits.isnan().any(1)
    calibrate_heads(net, logits[seen], means.rows(seen), recipe)
    return _answers(bases, net.probabilities(logits[means.recorded]))


def _answers(bases: Sequence[Base], found: Tensor) -> tuple[PlaceAnswers, ...]:
    """Group the answers ``NxK`` on recorded pictures by place and by what they show."""
    groups: dict[tuple[str, str], list[int]] = {}
    for index, base in enumerate(bases):
        groups.setdefault((_shown_place(base), _shown(base)), []).append(index)
    answers = []
    for (place, shows), rows in groups.items():
        chosen = found[rows].double()
        kinds = dict(zip(VISIBLE_KINDS, chosen.T.tolist(), strict=True))
        veil = [
            veil_probability({"haze": haze, "smoke": smoke})
            for haze, smoke in zip(kinds["haze"], kinds["smoke"], strict=True)
        ]
        columns = (veil, kinds["over_exposure"], kinds["low_light"])
        answers.append(PlaceAnswers(place, shows, *(np.array(column) for column in columns)))
    return tuple(answers)


def _shown_place(base: Base) -> str:
    return place_of(base).removeprefix("data/")


def _shown(base: Base) -> str:
    shown = [f"{kind}" for kind in base.present]
    doubtful = {"smoke", "haze", "over_exposure"} & base.unknown
    return ", ".join([*shown, *(f"perhaps {kind}" for kind in sorted(doubtful))]) or "clear"
