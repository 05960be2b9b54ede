"""The shipped mdaif restores, and each of its parts is what does it, on the synthetic street."""

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
import torch
from street import street

from fusion_core.models import load_model
from fusion_core.priors import assess_pair
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_lab.benches.mechanisms import mdaif
from fusion_lab.benches.mechanisms.bench import measure_parts
from fusion_lab.benches.mechanisms.mdaif import sample_of
from fusion_lab.benches.restoring.pictures import DegradedPicture, clean_picture, degrade_picture
from fusion_lab.data import aligned_pair

WEATHER = ("haze", "rain", "snow")


@cache
def pictures():
    """Return the street in haze, rain and snow."""
    visible, thermal, _ = street()
    provider = EmbeddedProvider()
    clean = clean_picture(visible, thermal, provider)
    found = []
    for kind in WEATHER:
        pair = aligned_pair(degrade_picture(visible, {kind: 0.6}, seed=2), thermal)
        found.append(DegradedPicture(kind, pair, assess_pair(provider, pair), clean))
    return found


@cache
def effects():
    """Return what passing by each part costs over all weathers: there is one picture in each."""
    samples = [replace(sample_of(picture), kind="") for picture in pictures()]
    found = measure_parts(load_model("mdaif"), mdaif.SYSTEM, samples, seeds=2)
    return {(effect.part, effect.how): effect for effect in found}


def decibels(picture, reference):
    error = picture.astype(float) - reference
    return 10 * np.log10(255**2 / np.mean(error**2))


def luma(rgb):
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[..., 0]


@torch.inference_mode()
def restored(picture):
    sample = sample_of(picture)
    made = load_model("mdaif").restore(sample.thermal, sample.visible, sample.cues)
    return (made.visible[0, 0].clamp(0, 1) * 255).numpy()


def test_what_it_restores_is_fused_by_the_small_network_that_ships():
    small = load_model("m2pn-nano").state_dict()
    for name, tensor in load_model("mdaif").fusion.state_dict().items():
        assert torch.equal(tensor, small[name]), name


@pytest.mark.parametrize(("kind", "gain"), [("haze", 3.0), ("rain", 0.6), ("snow", 2.0)])
def test_the_visible_picture_comes_back(kind, gain):
    picture = pictures()[WEATHER.index(kind)]
    clean = luma(picture.clean.visible)
    before = decibels(luma(picture.pair.visible), clean)
    assert decibels(restored(picture), clean) > before + gain


def test_a_clear_picture_passes():
    clean = pictures()[0].clean
    picture = DegradedPicture("clean", clean.pair, clean.prior, clean)
    assert decibels(restored(picture), luma(clean.visible)) > 40


@pytest.mark.parametrize(
    ("part", "how"),
    [
        ("scene prior", "none"),
        ("prototypes", "channel attention 1/2"),
        ("experts", "all left out"),
        ("experts", "those not chosen, instead"),
    ],
)
def test_without_a_part_less_comes_back(part, how):
    """By 0.3 dB in the mean of the three, and the fused picture changes by a level of 255."""
    effect = effects()[part, how]
    assert effect.difference < -0.3
    assert effect.change > 1


def test_an_expert_that_was_not_chosen_is_no_substitute_for_one_that_was():
    costs = {how: effect.difference for (part, how), effect in effects().items()}
    assert costs["those not chosen, instead"] < costs["the second choice left out"]
