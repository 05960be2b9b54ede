"""Training of MMAIF: what is degraded, what is said, what is asked for."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from fusion_core.errors import UsageError
from fusion_core.models.mmaif.looks import GATES, Looks
from fusion_core.models.mmaif.rules import RULES
from fusion_core.models.mmaif.weather import SIGNS, Weather
from fusion_core.sentences import DEGRADATIONS, PLAIN, SLIGHT, STRONG, Wish
from fusion_lab.data import read_examples
from fusion_lab.training import Place
from fusion_lab.training.wishing import WishingTrainer, load_wishing_recipe
from fusion_lab.training.wishing.asking import Asking, draw_asking, remaining
from fusion_lab.training.wishing.diagnosing import DiagnosisTrainer
from fusion_lab.training.wishing.gates import fit_gates
from fusion_lab.training.wishing.recipe import ABLATIONS, SaidShares
from fusion_lab.training.wishing.samples import SampleMaker, degraded, make_degraded

TINY = {"width": 24, "depth": 2, "heads": 2, "hidden": 8, "rank": 4, "positions": 4}
SHORT = dataclasses.replace(
    load_wishing_recipe("mmaif", network=TINY),
    steps=2,
    batch=2,
    crop=32,
    region=64,
    pool=2,
    renew=1,
    save_every=1,
    warmup=1,
    words_from=10,
    turns=("vif", "mff"),
    sharp=(),
)


@pytest.fixture
def pairs(pair_folder):
    return read_examples([pair_folder])


def maker(pairs, recipe=SHORT, task="vif"):
    def join(planes, thermal):
        return torch.cat((torch.maximum(planes[:, :1], thermal), planes[:, 1:]), 1)

    return SampleMaker(
        task,
        pairs,
        recipe,
        join,
        encode=lambda x: F.avg_pool2d(x, 32),
        see_through=clear_air,
        seed=3,
    )


def clear_air(pictures, task):
    """What is seen through air that hides nothing."""
    seen = pictures[: 1 if task == "vif" else 2]
    line = torch.zeros(len(seen), 2, *(edge // 4 for edge in seen.shape[-2:]))
    return Weather(seen.mean(1, keepdim=True), line, torch.zeros(len(seen), SIGNS))


def only(**shares):
    nothing = dict.fromkeys(
        ("nothing", "part", "wrong", "gently", "kept", "targets", "styles"), 0.0
    )
    return dataclasses.replace(SHORT, said=SaidShares(**{**nothing, **shares}), clean=0.0)


def asked(recipe, count=40, task="vif"):
    return [draw_asking(recipe, task, np.random.default_rng(seed)) for seed in range(count)]


def test_what_is_named_goes_and_the_rest_stays():
    wish = Wish({"haze": PLAIN, "noise": SLIGHT})
    assert [remaining(wish, kind) for kind in ("haze", "noise", "rain")] == [0, 0.5, 1]
    left = Asking({"haze": 0.8, "rain": 0.4}, {"noise": 0.6}, wish, "")
    assert left.left(left.first) == {"rain": 0.4}
    assert left.left(left.second) == {"noise": 0.3}
    assert Asking({"haze": 0.8}, {}, None, "").left({"haze": 0.8}) == {}


def test_the_right_sentence_leaves_nothing_and_the_wrong_one_everything():
    for asking in asked(only()):
        assert asking.sentence
        assert asking.left(asking.first) == asking.left(asking.second) == {}
    for asking in asked(only(wrong=1.0)):
        assert asking.left(asking.first) == asking.first
        assert len(asking.wish.remove) == 1
    parted = [asking.left(asking.first) for asking in asked(only(part=1.0))]
    assert any(parted)
    assert all(asking.sentence == "" for asking in asked(only(nothing=1.0)))


def test_rules_are_opened_for_what_shall_go():
    def shares(severities, wish=None):
        found = Asking(severities, {}, wish, "").shares(severities)
        return dict(zip(RULES, found, strict=True))

    rain = shares({"rain": 0.5, "noise": 0.3}, Wish({"rain": SLIGHT}))
    assert rain == {name: 0.5 * (name in {"veil", "drops"}) for name in RULES}
    haze = shares({"haze": 0.5})
    assert haze["veil"] == 1
    assert np.isnan(haze.pop("drops"))  # the pictures say whether it helps
    assert sum(haze.values()) == 1


def test_a_sample_tells_what_its_pictures_show(pairs):
    recipe = dataclasses.replace(only(), thermal=0.0)
    for number in range(6):
        found = maker(pairs, recipe).sample(number)
        wished = found.wish[: len(DEGRADATIONS)]
        assert (found.shown[0] == (wished > 0)).all()
        assert not found.shown[1].any()


def test_severities_end_at_the_recipes():
    for asking in asked(dataclasses.replace(SHORT, severity=0.5)):
        assert all(0 < value <= 0.5 for value in asking.first.values())


def test_the_target_of_a_wrong_sentence_is_the_degraded_picture(pairs):
    for number in range(4):
        planes = maker(pairs, only(wrong=1.0)).sample(number).planes
        first = cv2.cvtColor(planes[..., :3], cv2.COLOR_RGB2YCrCb)[..., 0]
        assert np.abs(first.astype(int) - planes[..., 6]).max() <= 2
        assert np.array_equal(planes[..., 3], planes[..., 9])


def test_the_target_of_the_right_one_is_clean(pairs):
    """Equal numbers give equal pictures, whatever is said about them."""
    right = [maker(pairs, only()).sample(number).planes[..., 6:] for number in range(4)]
    none = [maker(pairs, only(nothing=1.0)).sample(number).planes for number in range(4)]
    changed = [np.abs(p[..., 6].astype(int) - p[..., :3].mean(2)).mean() for p in none]
    assert max(changed) > 5
    assert all(planes.shape == (64, 64, 4) for planes in right)


def test_latents_are_those_of_both_pictures_and_of_their_fusion(pairs):
    sample = maker(pairs).sample(1)
    assert sample.latents.shape == (3, 3, 2, 2)
    first = F.avg_pool2d(torch.from_numpy(sample.planes[..., :3]).permute(2, 0, 1) / 255.0, 32)
    torch.testing.assert_close(sample.latents[0].float(), first, atol=1e-3, rtol=0)
    fused = np.maximum(sample.planes[..., 6], sample.planes[..., 9])
    luma = (sample.latents[2] * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0)
    expected = F.avg_pool2d(torch.from_numpy(fused)[None] / 255.0, 32)[0]
    torch.testing.assert_close(luma.float(), expected, atol=0.03, rtol=0)


@pytest.mark.parametrize("task", ["mef", "mff"])
def test_made_sets_have_the_true_picture_as_their_target(pairs, task):
    sharp = pairs[0].first
    asking = Asking({"noise": 0.5, "haze": 0.4}, {}, None, "")
    first, second, target = make_degraded(sharp, task, asking, np.random.default_rng(0))
    assert np.array_equal(target, sharp)
    assert not np.array_equal(first, second)
    kept = Asking({"noise": 0.5}, {}, Wish({"haze": PLAIN}), "")
    *_, target = make_degraded(sharp, task, kept, np.random.default_rng(0))
    assert not np.array_equal(target, sharp)
    assert degraded(sharp, {}, 1) is sharp


def test_gates_open_for_what_is_said_and_for_nothing_else():
    looks = Looks(64)
    fit_gates(looks, 0)
    for wish, gate in (
        (Wish(targets={"people": PLAIN}), "things"),
        (Wish({"haze": STRONG}, targets={"hot": PLAIN}), "hot"),
        (Wish(styles={"bright": PLAIN}), "bright"),
        (Wish({"noise": PLAIN}, styles={"contrast": PLAIN}), "contrast"),
    ):
        vector = torch.from_numpy(wish.vector())[None]
        look = looks(F.pad(vector, (0, 64 - vector.shape[1])))
        amounts = {name: getattr(look, name).item() for name in GATES}
        assert amounts.pop(gate) == pytest.approx(PLAIN, abs=0.2)
        assert max(amounts.values()) < 0.02


def train(pairs, out, *, resume=False):
    trainer = WishingTrainer(SHORT, pairs, [], Place(out, hold_out=0.25), resume=resume)
    while trainer.step < SHORT.steps:
        terms = trainer._advance()
        yield trainer, terms


def test_a_killed_run_goes_on_with_the_same_bits(pairs, tmp_path):
    whole = [trainer for trainer, _ in train(pairs, tmp_path / "whole")][-1]
    whole.save()
    first, terms = next(train(pairs, tmp_path / "half"))
    assert {"vif/decibels", "vif/latent", "vif/balance"} <= terms.keys()
    first.save()
    again = [trainer for trainer, _ in train(pairs, tmp_path / "half", resume=True)][-1]
    again.save()
    one, other = (load_file(tmp_path / run / "weights.safetensors") for run in ("whole", "half"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("ablation", [name for name in ABLATIONS if name])
def test_every_step_of_the_ladder_can_be_built_and_starts_alike(ablation):
    from fusion_core.models import create_model
    from fusion_lab.training.shared_init import build_variant

    changes = ABLATIONS[ablation]
    assert load_wishing_recipe("mmaif", ablation).network == changes
    full = create_model("mmaif", 0)
    variant = build_variant("mmaif", 0, changes)
    assert torch.equal(full.refiner.enter.weight, variant.refiner.enter.weight)
    assert {key: getattr(variant.config, key) for key in changes} == dict(changes)


def test_unknown_ablations_are_refused():
    with pytest.raises(UsageError, match="known ablations of MMAIF: base, experts"):
        load_wishing_recipe("mmaif", "none")


def test_a_run_for_the_diagnosis_changes_nothing_else(pairs, tmp_path):
    recipe = dataclasses.replace(SHORT, part="diagnosis", pool=1)
    run = DiagnosisTrainer(recipe, pairs, [], Place(tmp_path, hold_out=0.0))
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.run()
    changed = {
        name.split(".")[0]
        for name, value in run.model.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {"diagnosis"}
    assert torch.equal(run.average.diagnosis.mean, run.model.diagnosis.mean)
