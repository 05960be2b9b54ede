"""A camera's speckle in the dark goes; lamps, colour edges and clean pictures stay."""

import cv2
import numpy as np
import pytest

from fusion_core.engine import Engine
from fusion_core.engine.night_noise import NightNoise
from fusion_core.models import load_model
from fusion_core.models.stream import StreamState
from fusion_core.types import AlignedPair, ScenePrior

TOKENS = np.zeros((32, 128), np.float32)
NIGHT = {"low_light": 1.0, "noise": 0.1}
NOISE = 6.0  # of 255, in each of red, green and blue


def told(**visible):
    return ScenePrior("", 0, "test", visible, {}, TOKENS, 1.0)


@pytest.fixture(scope="module")
def night():
    """A dark wall, reddish on the left and greenish on the right, with a tail lamp and a lamp."""
    picture = np.empty((120, 160, 3), np.uint8)
    picture[:, :80], picture[:, 80:] = (44, 20, 20), (20, 44, 20)
    picture[80:84, 30:34] = 230, 20, 10
    picture[20:40, 120:140] = 255, 250, 200
    return picture


def noisy(picture, deviation=NOISE):
    speckle = np.random.default_rng(0).standard_normal(picture.shape) * deviation
    return np.clip(np.rint(picture + speckle), 0, 255).astype(np.uint8)


def cleaned(picture, **visible):
    return NightNoise().clean(StreamState(), picture, told(**visible))


def planes(rgb):
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb).astype(np.float32)


def test_luma_and_chroma_speckle_of_a_flat_dark_wall_goes(night):
    bad, wall = noisy(night), np.s_[40:76, 10:60]
    before, after = planes(bad)[wall], planes(cleaned(bad, **NIGHT))[wall]
    assert before.std((0, 1)).min() > 3
    assert (after.std((0, 1)) < before.std((0, 1)) / 4).all()
    assert np.abs(after.mean((0, 1)) - planes(night)[wall].mean((0, 1))).max() < 0.7


@pytest.mark.parametrize("lamp", [np.s_[80:84, 30:34], np.s_[20:40, 120:140]])
def test_lamps_stay_as_bright_and_as_colourful(night, lamp):
    bad = noisy(night)
    error = planes(cleaned(bad, **NIGHT))[lamp] - planes(bad)[lamp]
    assert np.abs(error.mean((0, 1))).max() < 3


def test_a_colour_edge_in_the_dark_stays_sharp(night):
    found = planes(cleaned(noisy(night), **NIGHT))[40:76]
    step = found[:, 76:79, 1].mean() - found[:, 81:84, 1].mean()
    clean = planes(night)[40:76]
    assert step == pytest.approx(clean[:, 76, 1].mean() - clean[:, 84, 1].mean(), rel=0.15)


@pytest.mark.parametrize("visible", [{"low_light": 0.5, "noise": 0.5}, {"haze": 1.0}, {}])
def test_nothing_happens_where_the_prior_sees_neither_dark_nor_noise(night, visible):
    bad = noisy(night)
    assert cleaned(bad, **visible) is bad


def test_a_dark_picture_without_noise_and_a_bright_one_with_it_stay_as_they_are(night):
    assert cleaned(night, **NIGHT) is night
    bright = noisy(night + np.uint8(100) * (night < 100))
    assert cleaned(bright, **NIGHT) is bright


def test_colourless_texture_is_no_noise(night):
    texture = np.random.default_rng(1).integers(-20, 21, night.shape[:2])
    wall = np.clip(night + texture[..., None], 0, 255).astype(np.uint8)
    assert cleaned(wall, **NIGHT) is wall


def test_the_gain_follows_the_clock_and_a_missing_prior_keeps_the_last(night):
    """After two time constants of 0.7 s all but 1 / e^2 of what is to change has changed."""
    bad, filtering, stream = noisy(night), NightNoise(), StreamState()
    assert filtering.clean(stream, bad, told()) is bad
    changes = []
    for prior in (told(**NIGHT), *[None] * 13):
        stream.advance(0.1)
        changes.append(np.abs(filtering.clean(stream, bad, prior).astype(float) - bad).mean())
    fully = np.abs(cleaned(bad, **NIGHT).astype(float) - bad).mean()
    assert np.diff(changes).min() > 0
    assert changes[-1] == pytest.approx((1 - np.exp(-2)) * fully, rel=0.05)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 2, 3), (33, 47, 3)])
def test_any_size_passes(shape):
    picture = np.random.default_rng(2).integers(0, 30, shape, np.uint8)
    assert cleaned(picture, **NIGHT).shape == shape


@pytest.mark.parametrize("name", ["m2pn-edge", "mdaif"])
def test_the_fused_picture_has_none_of_the_speckle(night, name):
    bad, wall = noisy(night), np.s_[40:76, 10:60]
    shape, found = bad.shape[:2], {}
    pair = AlignedPair(0, bad, np.full(shape, 0.3, np.float32), np.ones(shape, bool))
    for corrected in (True, False):
        engine = Engine(load_model(name), None, correct_inputs=corrected)
        fused = planes(engine.fuse(pair, told(**NIGHT)).image)
        found[corrected] = fused[wall].std((0, 1)).max()
    assert found[False] > 3
    assert found[True] < found[False] / 3
