"""Sentences for wishes, in many phrasings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from fusion_core.sentences import phrasings, words
from fusion_core.sentences.phrasings import Phrasings
from fusion_core.sentences.reading import UNKNOWN
from fusion_core.sentences.wish import DEGRADATIONS, PLAIN, STYLES, TARGETS, Wish

_OPENED: Final = 0.3
_ENDED: Final = 0.15
_NAMED: Final = 0.7  # of removals, how many name the thing
_AMOUNT: Final = 0.5
_LISTED: Final = 0.6  # of equal wishes, how many are said as one list


def write_sentence(
    wish: Wish, rng: np.random.Generator, *, held_out: bool = False, distractions: int = 0
) -> str:
    """Return an English sentence that says a wish, in random words.

    Strengths other than ``SLIGHT``, ``PLAIN`` and ``STRONG`` are said as the nearest of them.

    Args:
        wish: What to say.
        rng: Source of randomness.
        held_out: Every clause in a phrasing that trainings never use, instead of only in those
            that they do.
        distractions: Clauses to add that wish for nothing, such as "ignore the cars".
    """
    writer = _Writer(rng, held_out=held_out)
    clauses = writer.removals(wish)
    clauses += writer.grouped(wish.targets, phrasings.TARGET, words.TARGETS)
    clauses += [writer.style(name, strength) for name, strength in wish.styles.items()]
    if wish.task:
        lists = words.TASK_HELD_OUT if held_out else words.TASK_TRAINED
        clauses.append(writer.one(lists[wish.task]))
    clauses += [writer.distraction(wish) for _ in range(distractions)]
    clauses = [clauses[index] for index in rng.permutation(len(clauses))]
    # "But not the haze" follows something.
    for name in [name for name in DEGRADATIONS if name in wish.keep]:
        clauses.append(writer.keep(name))
    return writer.join(clauses or [writer.phrase(phrasings.NOTHING, {})])


class _Writer:
    """Random choices of words.

    Args:
        rng: Source of randomness.
        held_out: Take the phrasings that trainings never use.
    """

    def __init__(self, rng: np.random.Generator, *, held_out: bool) -> None:
        self._rng = rng
        self._held_out = held_out

    def one(self, options: Sequence[str]) -> str:
        return options[int(self._rng.integers(len(options)))]

    def chance(self, share: float) -> bool:
        return bool(self._rng.random() < share)

    def phrase(
        self, phrasings_: Phrasings, slots: Mapping[str, str], strength: float = PLAIN
    ) -> str:
        """Return a phrasing that can say the strength, its slots filled."""
        options = phrasings_.held_out if self._held_out else phrasings_.trained
        nearest = min(words.COMPARED, key=lambda known: abs(known - strength))
        if nearest != PLAIN:
            options = tuple(text for text in options if {"{a}", "{b}", "{c}"} & set(text.split()))
        filled = {
            "a": self.one(words.ADVERBS_BEFORE[nearest]),
            "b": self.one(words.ADVERBS_AFTER[nearest]),
            "c": self.one(words.COMPARED[nearest]),
            **slots,
        }
        return " ".join(self.one(options).format(**filled).split())

    def removals(self, wish: Wish) -> list[str]:
        """Return clauses for what is to be removed."""
        left = dict(wish.remove)
        if len(left) + len(wish.keep) == len(DEGRADATIONS) and len(set(left.values())) == 1:
            return [self.phrase(phrasings.EVERYTHING, {}, next(iter(left.values())))]
        clauses = []
        for name in list(left):
            if name in words.VERBS and self.chance(1 - _NAMED):
                verb = self.one(words.VERBS[name])
                clauses.append(self.phrase(phrasings.VERB, {"v": verb}, left.pop(name)))
            elif self.chance((1 - _NAMED) / 2):
                adjective = self.one(words.ADJECTIVES[name])
                clauses.append(self.phrase(phrasings.DEGRADED, {"j": adjective}, left.pop(name)))
        return clauses + self.grouped(left, phrasings.REMOVE, words.NOUNS)

    def grouped(
        self, wished: Mapping[str, float], phrasings_: Phrasings, nouns: words.Words
    ) -> list[str]:
        """Return one clause per thing, or per list of things of one strength."""
        groups: list[list[str]] = []
        together = self.chance(_LISTED)
        for name in wished:
            fitting = [group for group in groups if wished[group[0]] == wished[name]]
            if fitting and together:
                fitting[0].append(name)
            else:
                groups.append([name])
        return [
            self.phrase(phrasings_, self._things(group, nouns), wished[group[0]])
            for group in groups
        ]

    def keep(self, name: str) -> str:
        """Return a clause for a degradation that shall stay."""
        if name in words.VERBS and self.chance(1 - _NAMED):
            return self.phrase(phrasings.KEEP_VERB, {"v": self.one(words.VERBS[name])})
        return self.phrase(phrasings.KEEP, self._things([name], words.NOUNS))

    def style(self, name: str, strength: float) -> str:
        """Return a clause for how the picture shall look."""
        if name in words.STYLE_NOUNS and self.chance(_AMOUNT):
            noun = self.one(words.STYLE_NOUNS[name])
            return self.phrase(phrasings.STYLE_AMOUNT, {"n": noun}, strength)
        return self.phrase(phrasings.STYLE, {"j": self.one(words.STYLE_ADJECTIVES[name])}, strength)

    def distraction(self, wish: Wish) -> str:
        """Return a clause that wishes for nothing and contradicts nothing in the wish."""
        targets = [name for name in TARGETS if name not in wish.targets]
        styles = [name for name in STYLES if name not in wish.styles]
        kind = int(self._rng.integers(4))
        if kind == 0 and targets:
            return self.phrase(phrasings.IGNORE, self._things([self.one(targets)], words.TARGETS))
        if kind == 1 and styles:
            adjective = self.one(words.STYLE_ADJECTIVES[self.one(styles)])
            return self.phrase(phrasings.NO_STYLE, {"j": adjective})
        if kind == 2:
            said = phrasings.REMOVE if self.chance(0.5) else phrasings.TARGET
            return self.phrase(said, {"x": f"the {UNKNOWN}", "n": UNKNOWN})
        return self.phrase(phrasings.NOTHING, {})

    def join(self, clauses: Sequence[str]) -> str:
        """Return clauses as one sentence, with what people say around it."""
        text = clauses[0]
        for clause in clauses[1:]:
            text += f" {self.one(phrasings.JOINTS)} {clause}"
        if self.chance(_OPENED):
            text = f"{self.one(phrasings.OPENINGS)} {text}"
        if self.chance(_ENDED):
            text = f"{text} {self.one(phrasings.ENDINGS)}"
        return text.replace(" ,", ",").replace(" .", ".")

    def _things(self, names: Sequence[str], nouns: words.Words) -> dict[str, str]:
        bare = [self.one(nouns[name]) for name in names]
        joint = self.one(phrasings.LIST_JOINTS)
        named = [f"{self.one(phrasings.ARTICLES)} {noun}".strip() for noun in bare]
        return {"x": f" {joint} ".join(named), "n": f" {joint} ".join(bare)}
