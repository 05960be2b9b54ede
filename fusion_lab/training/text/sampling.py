"""Random wishes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from fusion_core.sentences import (
    DEGRADATIONS,
    PLAIN,
    SLIGHT,
    STRONG,
    STYLES,
    TARGETS,
    TASKS,
    Wish,
    write_sentence,
)

_STRENGTHS: Final = (SLIGHT, PLAIN, STRONG)
_SHARES: Final = (0.3, 0.4, 0.3)
_EVERYTHING: Final = 0.05
_TASK: Final = 0.15
# Probabilities of 0, 1, 2, ... entries.
_REMOVED: Final = (0.25, 0.4, 0.2, 0.15)
_KEPT: Final = (0.75, 0.2, 0.05)
_TARGETS: Final = (0.6, 0.3, 0.1)
_STYLES: Final = (0.65, 0.25, 0.1)
_DISTRACTIONS: Final = (0.65, 0.25, 0.1)
_OPPOSED: Final = frozenset({"bright", "dark"})


def draw_wish(rng: np.random.Generator) -> Wish:
    """Draw what somebody may wish for: nothing, one thing or several."""
    kept = frozenset(_some(DEGRADATIONS, _KEPT, rng))
    rest = [name for name in DEGRADATIONS if name not in kept]
    if rng.random() < _EVERYTHING:
        remove = dict.fromkeys(rest, _strength(rng))
    else:
        remove = {name: _strength(rng) for name in _some(rest, _REMOVED, rng)}
    styles = {name: _strength(rng) for name in _some(STYLES, _STYLES, rng)}
    if styles.keys() >= _OPPOSED:
        del styles["dark"]
    targets = {name: _strength(rng) for name in _some(TARGETS, _TARGETS, rng)}
    task = TASKS[int(rng.integers(len(TASKS)))] if rng.random() < _TASK else ""
    return Wish(remove, kept, targets, styles, task)


def draw_sentence(rng: np.random.Generator, *, held_out: bool = False) -> tuple[str, Wish]:
    """Draw a wish and a sentence that says it, sometimes with clauses that wish for nothing."""
    wish = draw_wish(rng)
    distractions = int(rng.choice(len(_DISTRACTIONS), p=_DISTRACTIONS))
    return write_sentence(wish, rng, held_out=held_out, distractions=distractions), wish


def _strength(rng: np.random.Generator) -> float:
    return float(rng.choice(_STRENGTHS, p=_SHARES))


def _some(names: Sequence[str], shares: Sequence[float], rng: np.random.Generator) -> list[str]:
    count = int(rng.choice(len(shares), p=shares))
    return [str(name) for name in rng.permutation(names)[:count]]
