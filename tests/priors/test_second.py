"""A second provider beside the first: what is in force, and what is disputed."""

import numpy as np
import pytest
import tiny_models

from fusion_core.errors import UsageError
from fusion_core.priors import Assessment, PriorScheduler, PriorsConfig, open_provider
from fusion_core.priors.second import SecondOpinion
from fusion_core.types import AlignedPair

TOKENS = np.ones((1, 2), np.float32)
VISIBLE = np.full((60, 90, 3), 100, np.uint8)
THERMAL = np.full((60, 90), 0.3, np.float32)


class Stated:
    """A provider that says what it is told to."""

    dim = 2

    def __init__(self, name, visible, thermal=None):
        self.name, self.stated = name, Assessment(visible, thermal or {}, TOKENS, 0.7)

    def assess(self, visible, thermal):
        return self.stated


def both(one, two, thermal=({}, {})):
    first, second = Stated("first", one, thermal[0]), Stated("second", two, thermal[1])
    return SecondOpinion(first, second)


def disputed(*args, **kwargs):
    return both(*args, **kwargs).assess(VISIBLE, THERMAL).disputed


def test_the_first_one_is_in_force():
    provider = both({"rain": 0.9}, {"rain": 0.1})
    found = provider.assess(VISIBLE, THERMAL)
    assert (provider.name, provider.dim) == ("first", 2)
    assert (found.visible, found.quality, found.tokens is TOKENS) == ({"rain": 0.9}, 0.7, True)


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ({"rain": 0.9}, {"rain": 0.1}, ("visible rain",)),
        ({"rain": 0.4}, {"rain": 0.6}, ("visible rain",)),
        ({"rain": 0.59}, {"rain": 0.1}, ()),
        ({"rain": 0.9}, {"rain": 0.41}, ()),
        (
            {"rain": 0.9, "noise": 0.0},
            {"rain": 0.2, "noise": 0.7},
            ("visible rain", "visible noise"),
        ),
        # which of both veils is not asked
        ({"haze": 0.8, "smoke": 0.1}, {"haze": 0.1, "smoke": 0.8}, ()),
        ({"haze": 0.4, "smoke": 0.4}, {"haze": 0.1, "smoke": 0.1}, ("visible veil",)),
        # nothing is said of what only one of them knows, nor of clean, which follows
        ({"rain": 0.9}, {}, ()),
        ({"clean": 0.9}, {"clean": 0.1}, ()),
    ],
)
def test_what_is_disputed(one, two, expected):
    assert disputed(one, two) == expected


def test_the_thermal_picture_is_compared_apart():
    found = disputed({"noise": 0.9}, {"noise": 0.9}, ({"noise": 0.9}, {"noise": 0.1}))
    assert found == ("thermal noise",)


def test_the_scheduler_says_so():
    pair = AlignedPair(1, VISIBLE, THERMAL, np.ones((60, 90), bool))
    with PriorScheduler(both({"rain": 0.9}, {"rain": 0.1}), PriorsConfig()) as scheduler:
        assert scheduler.update(pair, wait=True).disputed == ("visible rain",)
        assert scheduler.health() == ("prior_disputed",)
        assert scheduler.status()["disputed"] == "visible rain"


@pytest.mark.parametrize("names", [("embedded", "embedded"), ("clip", "blip2"), ("clip", "clip")])
def test_one_of_both_has_to_be_embedded(names):
    config = PriorsConfig(second=names[1])
    with pytest.raises(UsageError, match=r"priors\.second.*has to be embedded"):
        open_provider(names[0], config, "cpu")


def test_embedded_beside_clip(tmp_path):
    pytest.importorskip("transformers")
    config = PriorsConfig(second="clip", weights=str(tiny_models.clip(tmp_path)))
    alone, beside = (open_provider("embedded", c, "cpu") for c in (PriorsConfig(), config))
    one, two = (provider.assess(VISIBLE, THERMAL) for provider in (alone, beside))
    assert one.visible == two.visible
    other = open_provider("clip", PriorsConfig(weights=config.weights), "cpu")
    found = other.assess(VISIBLE, THERMAL)
    certain = {
        f"visible {kind}"
        for kind in ("rain", "snow", "low_light", "jpeg", "defocus")
        if min(one.visible[kind], found.visible[kind]) <= 0.4
        and max(one.visible[kind], found.visible[kind]) >= 0.6
    }
    assert certain <= set(two.disputed)
