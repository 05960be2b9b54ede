"""Heads of the prior: labels, weights of places, places left out, calibration."""

import cv2
import numpy as np
import pytest
import torch

from fusion_core.priors.checkpoint import save_prior
from fusion_core.priors.kinds import VISIBLE_KINDS, veil_probability
from fusion_core.priors.network import SEEN, PriorNet
from fusion_lab.training.priors.bases import Base, exposure_labels
from fusion_lab.training.priors.head_training import HeadsTraining
from fusion_lab.training.priors.heads import (
    HeadsRecipe,
    calibrate_heads,
    fit_heads,
    leave_places_out,
    place_of,
    read_means,
)
from fusion_lab.training.priors.loop import platt
from fusion_lab.training.priors.means import Means

KINDS = len(VISIBLE_KINDS)
RECIPE = HeadsRecipe(samples=6, dense=0.5, rendered=0.0, steps=5, batch=8, seeds=())


@pytest.fixture
def net():
    torch.manual_seed(0)
    return PriorNet("visible").eval()


def means_of(places, recorded):
    generator = torch.Generator().manual_seed(1)
    count = len(places)
    labels = (torch.rand(count, KINDS, generator=generator) < 0.5).float()
    return Means(
        torch.rand(count, SEEN, generator=generator),
        labels,
        torch.ones(count, KINDS),
        torch.rand(count, generator=generator),
        torch.tensor(places),
        torch.tensor(recorded),
        ("a", "b", "synthetic"),
    )


@pytest.mark.parametrize(
    ("level", "white", "present", "unknown"),
    [
        (128, 0.0, set(), set()),
        (128, 0.05, set(), {"over_exposure"}),
        (128, 0.2, {"over_exposure"}, set()),
        (60, 0.0, set(), {"low_light"}),
        (20, 0.0, {"low_light"}, set()),
    ],
)
def test_exposure_is_told_from_what_is_white_and_dark(level, white, present, unknown):
    picture = np.full((100, 100, 3), level, np.uint8)
    picture[: round(100 * white)] = 255
    found = exposure_labels(picture)
    assert (set(found[0]), set(found[1])) == (present, unknown)


def test_one_veil_or_the_other_hides_a_scene():
    assert veil_probability({"haze": 0.4, "smoke": 0.5, "rain": 1.0}) == pytest.approx(0.9)
    assert veil_probability({"haze": 0.7, "smoke": 0.7}) == 1
    assert veil_probability({}) == 0


def test_every_place_counts_alike_however_many_pictures_it_has():
    """One picture of a, three of b and four degraded; recorded ones weigh half."""
    means = means_of([0, 1, 1, 1, 0, 1, 2, 2], [True] * 4 + [False] * 4)
    weights = means.weights(0.5)
    assert weights.sum() == pytest.approx(8)
    assert weights.tolist() == pytest.approx([2] + [2 / 3] * 3 + [1] * 4)


def test_other_heads_leave_the_tokens_as_they_are(net):
    fitted = fit_heads(net, means_of([0, 1] * 8, [False] * 16), RECIPE, 0)
    changed = {
        name.partition(".")[0]
        for (name, one), other in zip(
            net.state_dict().items(), fitted.state_dict().values(), strict=True
        )
        if not torch.equal(one, other)
    }
    assert changed == {"head", "degradations", "quality"}


def test_heads_do_not_depend_on_those_before_them(net):
    means = means_of([0, 1] * 8, [False] * 16)
    one = fit_heads(net, means, RECIPE, 0)
    for heads in (net.head, net.degradations, net.quality):
        for parameter in heads.parameters():
            torch.nn.init.normal_(parameter)
    other = fit_heads(net, means, RECIPE, 0)
    for first, second in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(first, second)


def test_heads_have_not_seen_the_place_that_is_left_out(net):
    """What a place's labels say does not change the answers on it."""
    means = means_of([0, 1] * 8, [False] * 16)
    there = means.places == 0
    answers = {name: found for name, _, found in leave_places_out(net, means, RECIPE, 0)}
    means.labels[there] = 1 - means.labels[there]
    again = {name: found for name, _, found in leave_places_out(net, means, RECIPE, 0)}
    assert set(answers) == {"a", "b"}
    assert torch.equal(answers["a"], again["a"])
    assert not torch.equal(answers["b"], again["b"])


def test_weights_of_a_calibration_are_as_good_as_repetition():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(200, generator=generator)
    labels = (torch.rand(200, generator=generator) < torch.sigmoid(logits)).float()
    twice = torch.cat([logits, logits[:50]]), torch.cat([labels, labels[:50]])
    weights = torch.ones(200)
    weights[:50] = 2
    assert platt(logits, labels, weights) == pytest.approx(platt(*twice), abs=0.02)


def test_what_recordings_show_is_calibrated_on_them_and_the_rest_is_not(net):
    """Recorded smoke is always there, degraded never; of haze the recordings say the same."""
    means = means_of([0, 1] * 20, [True, False] * 20)
    for kind in ("smoke", "haze"):
        means.labels[:, VISIBLE_KINDS.index(kind)] = means.recorded.float()
    calibrate_heads(net, torch.zeros(40, KINDS), means, HeadsRecipe(calibrated=0.9))
    found = net.probabilities(torch.zeros(1, KINDS))[0]
    assert found[VISIBLE_KINDS.index("smoke")] > 0.8
    assert found[VISIBLE_KINDS.index("haze")] < 0.2


def test_samples_know_nothing_of_weak_veils_and_all_of_dense_ones(net):
    picture = np.random.default_rng(3).integers(40, 200, (96, 128, 3), np.uint8)
    bases = [
        Base(f"s{n}", f"set/one/{n}", picture, picture[..., 0], {}, frozenset(), frozenset())
        for n in range(2)
    ]
    assert place_of(bases[0]) == "set/one"
    means = read_means(net, bases, HeadsRecipe(samples=40, dense=0.5, rendered=0.0, seeds=()), 0)
    assert means.recorded.tolist() == [False] * 40 + [True] * 2
    veils = [VISIBLE_KINDS.index(kind) for kind in ("haze", "smoke")]
    shown = means.labels[:, veils] > 0
    strong = shown.any(1) & (means.known[:, veils] > 0).all(1)
    assert 10 <= int(strong.sum()) < 40
    assert means.labels[40:, 0].tolist() == [1, 1]


def test_a_run_repeats_itself_and_gives_itself_back(net, tmp_path):
    """Twice from the same weights, and once from the file that came out: the same bytes."""
    rng = np.random.default_rng(0)
    for place in ("one", "two"):
        for name in ("vi", "ir"):
            (tmp_path / place / name).mkdir(parents=True)
        for index in range(3):
            picture = cv2.resize(rng.integers(0, 256, (9, 12, 3), np.uint8), (120, 90))
            cv2.imwrite(str(tmp_path / place / "vi" / f"{index}.png"), picture)
            cv2.imwrite(str(tmp_path / place / "ir" / f"{index}.png"), picture[..., 0])
    start = tmp_path / "start.safetensors"
    save_prior(net, PriorNet("thermal"), start, {})

    def run(init, name):
        folders = (tmp_path / "one", tmp_path / "two")
        training = HeadsTraining(RECIPE, folders, tmp_path / name, 0, init)
        training.run()
        assert training.step == training.steps == RECIPE.steps
        return training.finish()

    first = run(start, "first")
    assert first.read_bytes() == run(start, "second").read_bytes()
    assert first.read_bytes() == run(first, "third").read_bytes()
