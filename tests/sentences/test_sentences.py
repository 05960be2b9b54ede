"""Wishes, the sentences that say them, and their words."""

import re

import numpy as np
import pytest

from fusion_core.errors import UsageError
from fusion_core.priors import KINDS
from fusion_core.sentences import (
    DEGRADATIONS,
    PLAIN,
    SLIGHT,
    STRONG,
    WISH_SIZE,
    Wish,
    degrees_said,
    known_words,
    phrasings,
    sentence_for_prior,
    split_words,
    words,
    write_sentence,
)
from fusion_core.sentences.phrasings import Phrasings

LISTS = {name: value for name, value in vars(phrasings).items() if isinstance(value, Phrasings)}
FULL = Wish(
    {"haze": SLIGHT, "noise": STRONG},
    frozenset({"rain"}),
    {"people": PLAIN},
    {"sharp": PLAIN},
    "mef",
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_degradations_are_those_of_the_priors():
    assert tuple(kind for kind in KINDS if kind != "clean") == DEGRADATIONS


@pytest.mark.parametrize("wish", [Wish(), FULL, Wish(dict.fromkeys(DEGRADATIONS, STRONG))])
def test_a_wish_comes_back_from_its_vector(wish):
    vector = wish.vector()
    assert vector.shape == (WISH_SIZE,)
    assert Wish.from_vector(vector) == wish
    noisy = vector + np.random.default_rng(0).uniform(-0.1, 0.1, WISH_SIZE)
    assert Wish.from_vector(noisy) == wish


def test_what_is_kept_wins_over_what_is_removed_where_it_is_surer():
    vector = Wish({"haze": SLIGHT}).vector()
    vector[len(DEGRADATIONS)] = 0.9
    assert Wish.from_vector(vector) == Wish(keep=frozenset({"haze"}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"remove": {"fog": 1.0}}, "degradation 'fog': unknown; known: haze, rain"),
        ({"keep": frozenset({"fog"})}, "degradation 'fog'"),
        ({"targets": {"dogs": 1.0}}, "target 'dogs': unknown; known: people, vehicles, hot"),
        ({"styles": {"nice": 1.0}}, "style 'nice'"),
        ({"task": "xyz"}, "task 'xyz'"),
        ({"remove": {"haze": 0.0}}, "strength of haze = 0.0: must be above 0"),
        ({"styles": {"bright": 1.2}}, "strength of bright = 1.2"),
        ({"remove": {"haze": 1.0}, "keep": frozenset({"haze"})}, "haze: to be removed and kept"),
    ],
)
def test_wrong_wishes_are_refused(change, message):
    with pytest.raises(UsageError, match=message):
        Wish(**change)


def test_only_the_empty_wish_is_false():
    assert not Wish()
    assert str(Wish()) == "nothing"
    assert FULL
    assert (
        str(FULL)
        == "remove haze 0.35, remove noise 1, keep rain, show people 0.7, sharp 0.7, task mef"
    )


@pytest.mark.parametrize("name", LISTS)
def test_a_fifth_of_the_phrasings_is_held_out_and_made_of_trained_words(name):
    given = LISTS[name]
    share = len(given.held_out) / len(given.trained + given.held_out)
    assert 0.1 <= share <= 0.35
    # Not even where nothing is said about the strength.
    plain = [
        {" ".join(re.sub(r"\{[abc]\}", "", text).split()) for text in texts}
        for texts in (given.trained, given.held_out)
    ]
    assert not set.intersection(*plain)
    trained = {
        word
        for other in LISTS.values()
        for text in other.trained
        for word in split_words(re.sub(r"\{\w\}", " ", text))
    }
    for text in given.held_out:
        assert set(split_words(re.sub(r"\{\w\}", " ", text))) <= trained, text


def test_over_all_lists_it_is_a_fifth():
    held_out = sum(len(given.held_out) for given in LISTS.values())
    every = sum(len(given.trained) for given in LISTS.values()) + held_out
    assert 0.18 <= held_out / every <= 0.24


def _pattern(phrasing):
    parts = re.split(r"\{\w\}", phrasing.replace(" ,", ","))
    return re.compile(
        r"(?:^| )" + r".*".join(re.escape(part.strip()) for part in parts) + "(?:$| |,)"
    )


def test_held_out_sentences_use_held_out_phrasings_only(rng):
    wish = Wish({"snow": PLAIN})
    trained = {write_sentence(wish, rng) for _ in range(300)}
    held_out = {write_sentence(wish, rng, held_out=True) for _ in range(300)}
    assert not trained & held_out
    known = [_pattern(p) for name in ("REMOVE", "DEGRADED", "VERB") for p in LISTS[name].held_out]
    assert all(any(pattern.search(text) for pattern in known) for text in held_out)


@pytest.mark.parametrize("held_out", [False, True])
def test_every_strength_is_said_by_its_words(rng, held_out):
    said = {
        strength: {
            word
            for table in (words.ADVERBS_BEFORE, words.ADVERBS_AFTER, words.COMPARED)
            for word in table[strength]
            if word
        }
        for strength in (SLIGHT, STRONG)
    }
    for strength in (SLIGHT, PLAIN, STRONG):
        for _ in range(60):
            wish = Wish({"smoke": strength}, targets={"hot": strength}, styles={"dark": strength})
            text = f" {write_sentence(wish, rng, held_out=held_out)} "
            found = {
                level
                for level, entries in said.items()
                if any(re.search(rf"\b{word}\b", text) for word in entries)
            }
            assert found == ({strength} & said.keys()), text


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("remove the haze as well as a mist", [PLAIN]),
        ("a little less haze", [SLIGHT, PLAIN]),
        ("haze should go as much as possible", [PLAIN, STRONG]),
        ("slightly brighter, and remove the haze completely", [SLIGHT, PLAIN, STRONG]),
    ],
)
def test_a_strength_is_meant_where_a_word_says_it(text, degrees):
    assert sorted(degrees_said(split_words(text))) == degrees
    near = Wish.from_vector(0.75 * Wish({"haze": PLAIN}).vector(), degrees)
    assert near == Wish({"haze": SLIGHT if SLIGHT in degrees else PLAIN})


def test_several_wishes_and_distractions_are_in_one_sentence(rng):
    for _ in range(100):
        text = write_sentence(FULL, rng, distractions=2)
        assert any(
            noun in text
            for noun in (*words.NOUNS["haze"], *words.VERBS["haze"], "haz", "fog", "mist")
        )
        assert any(noun in text for noun in words.TARGETS["people"])
        assert set(split_words(text)) <= {*known_words(), "<unknown>"}


def test_sentences_are_a_function_of_the_generator():
    one, same, other = (write_sentence(FULL, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one == same != other


@pytest.mark.parametrize(
    ("levels", "sentence"),
    [
        ({}, ""),
        ({"clean": 0.99, "haze": 0.3}, ""),
        ({"haze": 0.9}, "remove the haze"),
        ({"haze": 0.6}, "slightly remove the haze"),
        (
            {"noise": 0.8, "haze": 0.9, "jpeg": 0.6},
            "remove the haze and the noise, slightly remove the compression artifacts",
        ),
        (
            {"noise": 0.8, "haze": 0.9, "rain": 0.7, "snow": 0.6},
            "remove the haze and the noise, slightly remove the rain",
        ),
    ],
)
def test_the_prior_writes_what_it_finds(levels, sentence):
    assert sentence_for_prior(levels) == sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Remove the FOG!", ["remove", "the", "fog", ","]),
        ("don't touch it", ["do", "not", "touch", "it"]),
        ("Don’t; can't", ["do", "not", ",", "can", "not"]),
        ("more color, 3 % of the images", ["more", "colour", ",", "of", "the", "pictures"]),
        ("Mehr Schärfe", ["mehr", "schärfe"]),
        ("", []),
        ("???", [",", ",", ","]),
    ],
)
def test_words_of_a_sentence(text, expected):
    assert split_words(text) == expected
