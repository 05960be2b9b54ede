"""What degrades a set of pictures, what is said about it, and what then is to be left of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fusion_core.models.mmaif.rules import RULES
from fusion_core.sentences import (
    DEGRADATIONS,
    PLAIN,
    SLIGHT,
    STRONG,
    STYLES,
    TARGETS,
    Wish,
    write_sentence,
)
from fusion_lab.data import FusionTask
from fusion_lab.training.degradations import sample_mixture
from fusion_lab.training.wishing.recipe import SaidShares, WishingRecipe

# Of a degradation that is to go slightly, half stays.
_GENTLE_REST: Final = 0.5
# What degrades exposures and focus settings: what changes the exposures themselves is no fault.
_KINDS: Final[Mapping[FusionTask, tuple[str, ...]]] = {
    "mef": ("haze", "noise", "jpeg", "low_contrast", "gaussian_blur", "downsampling"),
    "mff": ("haze", "noise", "jpeg", "low_contrast", "low_light", "over_exposure"),
}
_VEILS: Final = frozenset({"haze", "smoke"})
Severities = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Asking:
    """One degraded set and what is asked of it.

    Attributes:
        first: Degradation -> severity in (0, 1] of the first picture; of tasks other than ``vif``
            of all.
        second: The same of the thermal picture.
        wish: What is wished for; None where nothing is said.
        sentence: The wish in words, empty where nothing is said.
    """

    first: Severities
    second: Severities
    wish: Wish | None
    sentence: str

    def left(self, severities: Severities) -> dict[str, float]:
        """Return what is to be left of degradations."""
        if self.wish is None:
            return {}
        shares = {kind: remaining(self.wish, kind) for kind in severities}
        return {kind: value * shares[kind] for kind, value in severities.items() if shares[kind]}

    def shares(self, severities: Severities) -> list[float]:
        """Return which share of what degrades each of ``RULES`` is to take away.

        Not a number where the pictures are to say: what is narrow in a veil may help or not.
        """
        found = []
        for rule, kinds in RULES.items():
            there = [kind for kind in kinds if kind in severities]
            left = [0.0 if self.wish is None else remaining(self.wish, kind) for kind in there]
            open_to = rule == "drops" and not there and _VEILS & severities.keys()
            found.append(math.nan if open_to else 1 - min(left) if left else 0.0)
        return found


def remaining(wish: Wish, kind: str) -> float:
    """Return the share of a degradation that a wish leaves."""
    strength = wish.remove.get(kind, 0.0)
    if not strength:
        return 1.0
    return _GENTLE_REST if strength <= SLIGHT else 0.0


def draw_asking(recipe: WishingRecipe, task: FusionTask, rng: np.random.Generator) -> Asking:
    """Draw degradations and a sentence.

    Args:
        recipe: Shares of all that can be.
        task: What the set is for.
        rng: Source of all that is random.
    """
    if task == "vif":
        first = sample_mixture(rng, "visible", recipe.clean)
        second = sample_mixture(rng, "thermal", 1 - recipe.thermal, 2)
    else:
        first = sample_mixture(rng, "visible", recipe.clean, kinds=_KINDS[task])
        second = {}
    wish = _wish([*first, *second], recipe.said, rng)
    first, second = (
        {kind: recipe.severity * value for kind, value in severities.items()}
        for severities in (first, second)
    )
    sentence = "" if wish is None else write_sentence(wish, rng)
    return Asking(first, second, wish, sentence)


def _wish(kinds: Sequence[str], said: SaidShares, rng: np.random.Generator) -> Wish | None:
    there = list(dict.fromkeys(kinds))
    draw = rng.random()
    if draw < said.nothing:
        return None
    removed, kept = there, []
    if draw < said.nothing + said.wrong:
        others = [kind for kind in DEGRADATIONS if kind not in there]
        removed, kept = [str(rng.choice(others))], there
    elif draw < said.nothing + said.wrong + said.part and there:
        count = int(rng.integers(0, len(there)))
        order = rng.permutation(there).tolist()
        removed, kept = order[:count], order[count:]
    strengths = {}
    for kind in removed:
        strengths[kind] = (
            SLIGHT if rng.random() < said.gently else float(rng.choice([PLAIN, STRONG]))
        )
    named = frozenset(kept) if rng.random() < said.kept else frozenset[str]()
    shown, styles = {}, {}
    if rng.random() < said.targets:
        shown = {str(rng.choice(TARGETS)): float(rng.choice([SLIGHT, PLAIN, STRONG]))}
    if rng.random() < said.styles:
        styles = {str(rng.choice(STYLES)): float(rng.choice([SLIGHT, PLAIN, STRONG]))}
    return Wish(strengths, named, shown, styles)
