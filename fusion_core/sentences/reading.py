"""A sentence as words of a fixed vocabulary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Final

from fusion_core.sentences import phrasings, words
from fusion_core.sentences.phrasings import Phrasings
from fusion_core.sentences.wish import PLAIN

UNKNOWN: Final = "<unknown>"
SPECIAL: Final = ("<none>", "<whole>", UNKNOWN)
"""Words that no sentence has: padding, the sentence as a whole, what is not known."""

_WORD: Final = re.compile(r"<unknown>|[^\W\d_]+|[,.;:!?]")
_NEGATED: Final = re.compile(r"n['’]t\b")
_COMMON: Final = frozenset({"a", "as"})  # of "a bit" and "as much as possible"
_SLOT: Final = re.compile(r"\{\w\}")


def split_words(text: str) -> list[str]:
    """Return the words of a sentence: lower case, one spelling, all punctuation as a comma.

    Contractions are written out. Numbers and signs are left out.
    """
    plain = _NEGATED.sub(" not", text.lower().replace("can't", "can not"))
    found: list[str] = []
    for word in _WORD.findall(plain):
        if len(word) == 1 and not word.isalpha():
            found.append(",")
        else:
            found.extend(words.SPELLINGS.get(word, word).split())
    return found


def degrees_said(said: Sequence[str]) -> tuple[float, ...]:
    """Return the strengths that words can mean: the plain one, and others where an adverb says so.

    Args:
        said: Words of a sentence, see :func:`split_words`.
    """
    return tuple(
        strength
        for strength, adverbs in _adverbs().items()
        if strength == PLAIN or not adverbs.isdisjoint(said)
    )


@cache
def _adverbs() -> dict[float, frozenset[str]]:
    """Return the words by which each strength is known."""
    lists = (words.ADVERBS_BEFORE, words.ADVERBS_AFTER, words.COMPARED)
    return {
        strength: frozenset(
            word for table in lists for text in table[strength] for word in split_words(text)
        )
        - _COMMON
        for strength in words.COMPARED
    }


@cache
def known_words() -> tuple[str, ...]:
    """Return all words that phrasings and lists of words hold, in alphabetical order.

    An encoder's vocabulary is these; one that was trained with others does not fit any more.
    """
    texts: list[str] = [*phrasings.OPENINGS, *phrasings.ENDINGS, *phrasings.JOINTS]
    texts += [*phrasings.LIST_JOINTS, *phrasings.ARTICLES]
    for value in vars(phrasings).values():
        if isinstance(value, Phrasings):
            texts += [_SLOT.sub(" ", text) for text in (*value.trained, *value.held_out)]
    for name in ("NOUNS", "ADJECTIVES", "VERBS", "TARGETS", "STYLE_ADJECTIVES", "STYLE_NOUNS"):
        texts += [text for group in getattr(words, name).values() for text in group]
    for group in (words.TASK_TRAINED, words.TASK_HELD_OUT):
        texts += [text for entries in group.values() for text in entries]
    for strengths in (words.ADVERBS_BEFORE, words.ADVERBS_AFTER, words.COMPARED):
        texts += [text for entries in strengths.values() for text in entries]
    return tuple(sorted({word for text in texts for word in split_words(text)}))
