"""What MMAIF takes pictures to show, and what that leaves of a wish."""

import math

import pytest
import torch

from fusion_core.models.mmaif.config import TASKS
from fusion_core.models.mmaif.diagnosis import Diagnosis, night
from fusion_core.models.mmaif.diagnosis import heard as heard_at
from fusion_core.models.mmaif.measuring import measure
from fusion_core.models.mmaif.statistics import STATISTICS
from fusion_core.models.mmaif.transformer import Asked
from fusion_core.models.mmaif.weather import SIGNS, Weather
from fusion_core.sentences import DEGRADATIONS, WISH_SIZE, Wish

AT = {kind: place for place, kind in enumerate(DEGRADATIONS)}


def asked_for(*kinds):
    text = torch.from_numpy(Wish(dict.fromkeys(kinds, 0.7)).vector())[None, None]
    return Asked("vif", text, torch.ones(1, 1), torch.ones(1))


def shown(**logits):
    found = torch.full((2, 1, len(DEGRADATIONS)), -20.0)
    for kind, value in logits.items():
        found[0, 0, AT[kind]] = value
    return found


def heard(asked, found, dark=0.0):
    return heard_at(asked, found, torch.full((2, 1), dark))


def test_a_wish_acts_on_what_it_names_and_the_picture_shows():
    asked, removed = heard(asked_for("haze", "rain"), shown(haze=20.0, noise=20.0))
    assert removed[0, 0, AT["haze"]] == pytest.approx(0.7)
    assert removed.sum() == pytest.approx(0.7, abs=1e-3)
    assert asked.text.shape == (1, 1, WISH_SIZE)
    torch.testing.assert_close(asked.text[0, 0, : len(DEGRADATIONS)], removed[0, 0])


def test_what_one_picture_shows_is_removed_from_that_one():
    found = shown(noise=20.0).flip(0)
    asked, removed = heard(asked_for("noise"), found)
    assert removed[:, 0, AT["noise"]].tolist() == pytest.approx([0, 0.7], abs=1e-3)
    assert asked.text[0, 0, AT["noise"]] == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("kinds", "there"),
    [(("haze",), 0.75), (("haze", "rain"), 0.75), (("haze", "rain", "snow", "noise"), 1.9 / 4)],
)
def test_what_a_sentence_names_is_likelier_by_the_rule_of_bayes(kinds, there):
    """Odds of the picture, by odds that the sentence is right, by the usual odds of a kind."""
    usual = 1.9 / len(DEGRADATIONS)
    odds = math.exp(-3) * there / (1 - there) * (1 - usual) / usual
    _, removed = heard(asked_for(*kinds), shown(haze=-3.0))
    assert removed[0, 0, AT["haze"]] == pytest.approx(0.7 * odds / (1 + odds), rel=1e-4)


def test_where_everything_is_named_the_picture_alone_tells():
    _, removed = heard(asked_for(*DEGRADATIONS), shown(haze=-1.0))
    assert removed[0, 0, AT["haze"]] == pytest.approx(0.7 / (1 + math.e), rel=1e-4)


def diagnosed(task, seed=0):
    torch.manual_seed(seed)
    measured = [measure(torch.rand(1, 3, 32, 64)) for _ in range(2)]
    assert measured[0].statistics.shape == (1, STATISTICS)
    clear = torch.rand(1 if task == "vif" else 2, 1, 32, 64)
    weather = Weather(clear, torch.zeros(len(clear), 2, 8, 16), torch.rand(len(clear), SIGNS))
    network = Diagnosis()
    torch.nn.init.normal_(network.leave.weight)
    return network(measured, weather, task)


@pytest.mark.parametrize("task", TASKS)
def test_pictures_of_one_camera_show_the_same(task):
    found = diagnosed(task)
    assert found.shape == (2, 1, len(DEGRADATIONS))
    assert torch.equal(found[0], found[1]) == (task != "vif")


def test_haze_and_smoke_are_one_veil():
    found = diagnosed("vif")
    assert torch.equal(found[..., AT["haze"]], found[..., AT["smoke"]])


def test_untrained_all_is_as_likely_as_usual():
    """A degraded picture shows 1.9 of all kinds on average."""
    network = Diagnosis()
    found = network.tell(torch.randn(3, network.enter.in_features)).sigmoid()
    torch.testing.assert_close(found.sum(1), torch.full((3,), 1.9))


def test_a_night_is_lit_where_its_darkness_is_named():
    place = AT["low_light"]
    assert heard(asked_for("low_light"), shown(), 1.0)[1][0, 0, place] == pytest.approx(0.7)
    assert heard(asked_for(*DEGRADATIONS), shown(), 1.0)[1][0, 0, place] < 1e-3
    assert heard(asked_for("haze"), shown(), 1.0)[1].sum() < 1e-3
    means = [measure(torch.full((1, 3, 32, 64), value)) for value in (0.1, 0.25, 0.4)]
    assert night(means)[:, 0].tolist() == pytest.approx([0, 0.5, 1][::-1], abs=1e-3)


def test_a_bright_day_is_dimmed_where_its_glare_is_named():
    place, bright = AT["over_exposure"], shown(over_exposure=20.0)
    assert heard(asked_for("over_exposure"), bright)[1][0, 0, place] == pytest.approx(0.7)
    assert heard(asked_for(*DEGRADATIONS), bright)[1][0, 0, place] < 1e-3
    assert heard(asked_for("haze"), bright)[1][0, 0, place] == 0


def test_words_beyond_the_wish_change_nothing():
    asked, found = asked_for("haze"), shown(haze=20.0)
    words = asked._replace(
        text=torch.cat((asked.text, torch.ones_like(asked.text)), 1), weight=torch.ones(1, 2)
    )
    for one, other in zip(heard(asked, found)[0], heard(words, found)[0], strict=True):
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def test_rain_is_left_in_noise_that_is_to_stay():
    both = shown(rain=20.0, noise=20.0)
    assert heard(asked_for("rain"), both)[1].sum() < 1e-3
    assert heard(asked_for("rain", "noise"), both)[1].sum() == pytest.approx(1.4, abs=1e-3)
