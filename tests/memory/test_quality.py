import math

import numpy as np
import pytest
from skimage import data, filters

from fusion_core.memory import quality_score
from fusion_core.memory.quality import _noise, _sample_rows

PICTURES = ("camera", "astronaut", "coffee", "coins", "chelsea", "brick")


def picture(name):
    image = getattr(data, name)()
    luma = image if image.ndim == 2 else image @ np.array([0.299, 0.587, 0.114])
    return luma.astype(np.float32) / 255


def score(luma):
    return quality_score(np.asarray(luma, np.float32))


def with_noise(luma, sigma):
    noise = np.random.default_rng(0).normal(0, sigma, luma.shape)
    return np.clip(luma + noise, 0, 1)


DAMAGE = {
    "blur": lambda luma: filters.gaussian(luma, 1.5),
    "heavy blur": lambda luma: filters.gaussian(luma, 4),
    "darkening": lambda luma: 0.4 * luma,
    "saturation": lambda luma: np.clip(3 * luma, 0, 1),
    "low contrast": lambda luma: 0.5 + 0.4 * (luma - 0.5),
    "noise": lambda luma: with_noise(luma, 0.02),
    "heavy noise": lambda luma: with_noise(luma, 0.08),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", PICTURES)
def test_damage_lowers_the_score(name, damage):
    luma = picture(name)
    assert score(DAMAGE[damage](luma)) < score(luma)


@pytest.mark.parametrize("name", PICTURES)
def test_more_noise_and_more_blur_score_less(name):
    luma = picture(name)
    noisy = [score(with_noise(luma, sigma)) for sigma in (0.01, 0.03, 0.06)]
    blurred = [score(filters.gaussian(luma, sigma)) for sigma in (1, 2, 4)]
    assert noisy == sorted(noisy, reverse=True)
    assert blurred == sorted(blurred, reverse=True)


def test_noise_is_not_taken_for_sharpness():
    """Noise on a blurred picture raises every gradient, and must not raise the score."""
    blurred = filters.gaussian(picture("camera"), 2)
    assert score(with_noise(blurred, 0.03)) < score(blurred)


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_noise_estimate_is_the_standard_deviation_put_in(sigma):
    noise = np.random.default_rng(0).normal(0, sigma, (480, 640)).astype(np.float32)
    assert _noise(_sample_rows(0.5 + noise)) == pytest.approx(sigma, rel=0.05)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 50), (7, 17), (8, 18), (33, 100)])
def test_every_size_gets_a_score_inside_the_open_interval(height, width):
    assert 0 < score(np.random.default_rng(0).random((height, width))) < 1


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_an_empty_picture_scores_little(value):
    """No contrast, no sharpness: at best the logit -3 + 2 of a mid-grey picture."""
    assert score(np.full((64, 64), value)) <= 1 / (1 + math.exp(1)) + 1e-6
