"""Which text is in force, and how one becomes another."""

from itertools import pairwise

import numpy as np
import torch
from small_networks import Weighted
from test_rgb_networks import colours, pair

from fusion_core.engine import Engine
from fusion_core.engine.wording import Wording, between
from fusion_core.models import Features, TextCue


def encode(text):
    """One token per word and one before them, all of the number of letters."""
    tokens = torch.full((1, 1 + len(text.split()), 2), float(len(text)))
    return TextCue(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool))


def shown(wording, frames):
    cues = [wording.step() for _ in range(frames)]
    return [None if cue is None else cue.tokens[0, 0, 0].item() for cue in cues]


def test_what_is_said_before_the_first_frame_counts_at_once():
    wording = Wording(encode, 4)
    wording.say("haze")
    assert shown(wording, 2) == [4, 4]
    assert wording.in_force == "haze"


def test_a_new_text_comes_in_equal_steps():
    wording = Wording(encode, 4)
    wording.say("haze")
    shown(wording, 1)
    wording.say("haze,no!")
    assert shown(wording, 5) == [5, 6, 7, 8, 8]


def test_a_text_that_comes_amid_a_fade_starts_from_what_is_shown():
    wording = Wording(encode, 4)
    assert shown(wording, 1) == [None]
    wording.say("haze,no!")
    assert shown(wording, 2) == [2, 4]
    wording.say("")
    assert shown(wording, 5) == [3, 2, 1, None, None]


def test_words_that_only_one_text_has_grow_out_of_nothing():
    made = between(encode("ab"), encode("abcd ef gh"), 0.25)
    assert made.tokens[0, :, 0].tolist() == [4, 4, 2.5, 2.5]
    assert made.mask.tolist() == [[True] * 4]


def test_equal_texts_are_encoded_once():
    said = []
    wording = Wording(lambda text: said.append(text) or encode(text), 2)
    for text in ("haze", "rain", "haze", "rain"):
        wording.say(text)
        shown(wording, 3)
    assert sorted(said) == ["haze", "rain"]


def test_a_stream_changes_little_by_little_and_names_the_text():
    """The network's share of the second picture is 0.5 + letters / 100."""
    engine = Engine(Weighted(Features(uses_text=True)), None)
    engine.warm_up(8, 12)
    before = engine.fuse(pair())
    assert before.text == ""
    engine.describe("a text of twenty-four let")
    results = [engine.fuse(pair()) for _ in range(6)]
    assert {result.text for result in results} == {"a text of twenty-four let"}
    pictures = [before.image, *(result.image for result in results)]
    steps = [np.abs(b.astype(int) - a).max() for a, b in pairwise(pictures)]
    whole = np.abs(pictures[-1].astype(int) - before.image).max()
    assert whole > 8
    assert max(steps) <= whole / 4 + 2
    assert steps[-1] <= 3  # the network draws a little noise


def test_a_single_picture_has_its_text_at_once():
    network = Weighted()
    engine = Engine(network, None)
    made = [
        engine.fuse_pictures([colours(), colours()[::-1].copy()], "mef", text=text)
        for text in ("a" * 25, None, "a" * 25)
    ]
    assert np.array_equal(made[0], made[2])
    assert not np.array_equal(made[0], made[1])
