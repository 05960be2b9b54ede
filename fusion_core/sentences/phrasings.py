"""Phrasings of wishes; a fifth of each list is held out of every training.

In braces: ``{x}`` things with an article, ``{n}`` without; ``{a}`` an adverb before its verb,
``{b}`` after it; ``{c}`` before a comparative; ``{j}`` an adjective; ``{v}`` a verb. A phrasing
without a place for an adverb says nothing about the strength.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Phrasings:
    """Ways to say one thing.

    Attributes:
        trained: Those of trainings.
        held_out: Those kept for testing; made of words that occur in trained ones.
    """

    trained: tuple[str, ...]
    held_out: tuple[str, ...]


REMOVE: Final = Phrasings(
    (
        "{a} remove {x}",
        "remove {x} {b}",
        "get rid of {x} {b}",
        "{a} clear {x}",
        "clear {x} away {b}",
        "take out {x} {b}",
        "{a} reduce {x}",
        "reduce {x} {b}",
        "eliminate {x} {b}",
        "{a} suppress {x}",
        "filter out {x} {b}",
        "{a} correct {x}",
        "fix {x} {b}",
        "there is {n} , remove it {b}",
        "the picture suffers from {n} , {a} fix it",
        "the scene is full of {n} , clear it {b}",
        "i do not want to see {n}",
        "no {n}",
        "without {n}",
        "less {n}",
        "{x} should go away {b}",
        "{x} must disappear {b}",
        "see through {x} {b}",
        "i want a picture without {n}",
    ),
    (
        "take {x} away {b}",
        "{a} filter {x} out of the picture",
        "there is {n} in the picture , clear it away {b}",
        "{x} should disappear {b}",
        "i want to see the scene without {n}",
        "{a} eliminate {x}",
    ),
)
DEGRADED: Final = Phrasings(
    (
        "the picture is {j} , fix it {b}",
        "it is {j} , {a} correct it",
        "the scene is {j} , clear it {b}",
        "it is {j} here",
    ),
    ("the scene is {j} , {a} fix it",),
)
VERB: Final = Phrasings(
    ("{v} the picture {b}", "{a} {v} it", "{v} {b}", "{a} {v} this scene"),
    ("{v} the scene {b}",),
)
EVERYTHING: Final = Phrasings(
    (
        "{a} restore the picture",
        "clean up the picture {b}",
        "remove every degradation {b}",
        "clean everything {b}",
        "{a} repair everything",
    ),
    ("{a} clean the picture",),
)
KEEP: Final = Phrasings(
    (
        "do not remove {x}",
        "do not touch {x}",
        "keep {x}",
        "leave {x} as it is",
        "leave {x} alone",
        "preserve {x}",
        "never remove {x}",
        "{x} should stay",
        "do not clear {x}",
        "do not reduce {x}",
        "but not {x}",
        "except {x}",
        "do not change {x}",
        "i want to keep {x}",
        "leave {x} in the picture",
        "do not take {x} out",
    ),
    (
        "never touch {x}",
        "{x} should stay as it is",
        "do not filter out {x}",
        "keep {x} in the picture",
    ),
)
KEEP_VERB: Final = Phrasings(
    ("do not {v} the picture", "never {v} it", "do not {v}"), ("never {v} the picture",)
)
TARGET: Final = Phrasings(
    (
        "{a} highlight {x}",
        "highlight {x} {b}",
        "show {x} brightly",
        "make {x} {c} brighter",
        "make {x} stand out {b}",
        "{a} emphasise {x}",
        "emphasise {x} {b}",
        "{a} bring out {x}",
        "i want to see {x}",
        "i am looking for {x}",
        "focus on {x} {b}",
        "find {x}",
        "show me {x}",
        "mark {x} {b}",
        "make {x} {c} more visible",
        "pay attention to {x}",
        "where are {n}",
        "{x} should stand out {b}",
        "watch {x}",
    ),
    (
        "i want to find {x}",
        "{x} should be {c} brighter",
        "{a} mark {x}",
        "bring {x} out {b}",
    ),
)
IGNORE: Final = Phrasings(
    (
        "do not highlight {x}",
        "ignore {x}",
        "{x} do not matter",
        "never emphasise {x}",
        "do not look for {x}",
    ),
    ("do not emphasise {x}",),
)
STYLE: Final = Phrasings(
    (
        "make it {c} {j}",
        "make the picture {c} {j}",
        "it should be {c} {j}",
        "a {c} {j} picture",
        "show everything {c} {j}",
        "i want it {c} {j}",
        "{c} {j}",
        "the scene should be {c} {j}",
    ),
    ("the picture should be {c} {j}", "i want a {c} {j} picture"),
)
STYLE_AMOUNT: Final = Phrasings(
    (
        "{c} more {n}",
        "increase the {n} {b}",
        "{a} raise the {n}",
        "boost the {n} {b}",
        "it needs {c} more {n}",
        "give me {c} more {n}",
    ),
    ("{a} increase the {n}", "the picture needs {c} more {n}"),
)
NO_STYLE: Final = Phrasings(
    ("do not make it {j}", "not {j}", "never make the picture {j}"),
    ("do not make the picture {j}",),
)
NOTHING: Final = Phrasings(
    (
        "just show the picture",
        "as usual",
        "nothing special",
        "hello robot",
        "what do you see",
        "go on",
        "drive on",
        "the weather is fine",
    ),
    ("just go on as usual",),
)

OPENINGS: Final = (
    "please",
    "robot ,",
    "now",
    "can you",
    "could you please",
    "i need you to",
    "hey robot ,",
    "from now on",
    "for this scene ,",
    "let us",
)
ENDINGS: Final = ("please", "thank you", "now", "if you can", "in this picture", "for me")
JOINTS: Final = ("and", ",", ", and", ", also", ", then", ".", "and then", "but")
LIST_JOINTS: Final = ("and", ",", "as well as", "and also", "or")
ARTICLES: Final = ("the", "the", "the", "all", "all the", "any", "")
