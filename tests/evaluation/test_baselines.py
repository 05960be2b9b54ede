"""Classical rules on images whose fusion is known beforehand."""

import cv2
import numpy as np
import pytest

from fusion_lab.evaluation import baseline_methods
from fusion_lab.metrics import compute_all

RULES = {method.name: method.rule for method in baseline_methods()}


def texture(seed, shape=(90, 120)):
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return np.round(255 * smooth).astype(np.uint8)


def test_names():
    assert list(RULES) == ["max", "mean", "laplacian", "guided"]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("shape", [(90, 120), (33, 47), (5, 7)])
def test_equal_sources_are_returned(name, shape):
    image = texture(1, shape)
    assert np.abs(RULES[name](image, image).astype(int) - image).max() <= 1


@pytest.mark.parametrize("name", RULES)
def test_convention_thermal_comes_first_and_neither_is_favoured_by_place(name):
    a, b = texture(1), texture(2)
    swapped = RULES[name](b, a).astype(int)
    assert np.abs(RULES[name](a, b).astype(int) - swapped).max() <= 1


def test_max_and_mean_by_hand():
    thermal, visible = np.array([[10, 200]], np.uint8), np.array([[20, 101]], np.uint8)
    assert RULES["max"](thermal, visible).tolist() == [[20, 200]]
    assert RULES["mean"](thermal, visible).tolist() == [[15, 150]]  # 150.5 to even


@pytest.mark.parametrize("name", ["laplacian", "guided"])
def test_detail_of_one_source_survives_a_flat_other(name):
    detail, flat = texture(3), np.full((90, 120), 128, np.uint8)
    scores = {
        rule: compute_all(RULES[rule](detail, flat), (detail, flat), ["SF"])["SF"]
        for rule in (name, "mean")
    }
    assert scores[name] > 1.7 * scores["mean"]
