"""Sentences that say what a fused picture shall show, and what they wish for."""

from fusion_core.sentences.prior import sentence_for_prior
from fusion_core.sentences.reading import (
    SPECIAL,
    UNKNOWN,
    degrees_said,
    known_words,
    split_words,
)
from fusion_core.sentences.wish import (
    DEGRADATIONS,
    PLAIN,
    SLIGHT,
    STRONG,
    STYLES,
    TARGETS,
    TASKS,
    WISH_SIZE,
    Wish,
)
from fusion_core.sentences.writing import write_sentence

__all__ = [
    "DEGRADATIONS",
    "PLAIN",
    "SLIGHT",
    "SPECIAL",
    "STRONG",
    "STYLES",
    "TARGETS",
    "TASKS",
    "UNKNOWN",
    "WISH_SIZE",
    "Wish",
    "degrees_said",
    "known_words",
    "sentence_for_prior",
    "split_words",
    "write_sentence",
]
