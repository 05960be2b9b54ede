"""The sentence that the scene prior writes where nobody says anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fusion_core.sentences.wish import DEGRADATIONS, PLAIN, SLIGHT, Wish
from fusion_core.sentences.words import ADVERBS_BEFORE, NOUNS

_SURE: Final = 0.75
_LIKELY: Final = 0.5
_MOST: Final = 3


def wish_for_prior(levels: Mapping[str, float]) -> Wish:
    """Return the wish to remove what a scene prior finds: at most three, the surest first.

    Args:
        levels: Degradation -> probability in [0, 1]; other names are left out. Above .75 it shall
            go, above .5 slightly.
    """
    found = sorted(
        (name for name in DEGRADATIONS if levels.get(name, 0.0) > _LIKELY),
        key=lambda name: -levels[name],
    )
    return Wish({name: PLAIN if levels[name] > _SURE else SLIGHT for name in found[:_MOST]})


def sentence_for_prior(levels: Mapping[str, float]) -> str:
    """Return the sentence of :func:`wish_for_prior`, always in the same words; may be empty.

    Args:
        levels: Degradation -> probability in [0, 1].
    """
    clauses = []
    for strength in (PLAIN, SLIGHT):
        names = [
            name for name, wished in wish_for_prior(levels).remove.items() if wished == strength
        ]
        if names:
            things = " and ".join(f"the {NOUNS[name][0]}" for name in names)
            clauses.append(f"{ADVERBS_BEFORE[strength][0]} remove {things}".strip())
    return ", ".join(clauses)
