"""Networks that give colour, on aligned pairs."""

import cv2
import numpy as np
import pytest
import torch
from skimage import data
from small_networks import Plain, Weighted

from fusion_core.engine import Engine
from fusion_core.engine.input_correction import InputCorrection
from fusion_core.errors import UsageError
from fusion_core.memory import MemoryBank, MemoryConfig
from fusion_core.models import Features
from fusion_core.models.stream import StreamState
from fusion_core.types import AlignedPair, ScenePrior

H, W = 48, 64
SECOND_NS = 10**9


def colours():
    return cv2.resize(data.astronaut(), (W, H), interpolation=cv2.INTER_AREA)


def pair(visible=None, thermal=None, valid=None, stamp_ns=0):
    visible = colours() if visible is None else visible
    thermal = np.full((H, W), 0.5, np.float32) if thermal is None else thermal
    return AlignedPair(
        stamp_ns, visible, thermal, np.ones((H, W), bool) if valid is None else valid
    )


def prior(thermal=None, **visible):
    tokens = np.full((4, 3), 0.1, np.float32)
    return ScenePrior(0, 0, "test", visible, thermal or {}, tokens, 1.0)


def test_the_picture_is_the_one_that_the_network_gives():
    """The mean of visible and gray thermal, to a rounding and the half-precision weight."""
    fused = Engine(Plain(), None).fuse(pair()).image
    np.testing.assert_allclose(fused, colours() / 2 + 255 / 4, atol=0.6)


def test_prior_and_mask_reach_the_network_and_the_query_the_bank():
    network = Weighted()
    config = MemoryConfig(mode="online")
    bank = MemoryBank(torch.eye(3), config, network.name, accept_unjudged=True)
    mask = np.ones((H, W), np.float32)
    result = Engine(network, bank).fuse(pair(), prior(), mask)
    (seen,) = network.seen
    assert seen.tokens.shape == (1, 4, 3)
    assert seen.mask.shape == (1, 1, H, W)
    assert torch.equal(seen.memory, torch.eye(3))
    assert result.memory_slot is not None
    assert not np.array_equal(bank.slots, np.eye(3))
    assert 0 < result.quality < 1


@pytest.mark.parametrize("reads", [True, False])
def test_glare_is_left_to_a_network_that_reads_a_text(reads):
    glaring, cold = np.full((H, W, 3), 255, np.uint8), np.zeros((H, W), np.float32)
    engine = Engine(Weighted(Features(uses_text=reads)), None, correct_inputs=True)
    prepared = engine.prepare(pair(glaring, cold), None, None)
    assert np.array_equal(prepared.seen, glaring) == reads


def test_outside_the_thermal_view_the_picture_is_the_visible_one_to_the_bit():
    valid = np.zeros((H, W), bool)
    valid[10:40, 15:50] = True
    fused = Engine(Plain(), None).fuse(pair(valid=valid)).image
    assert np.array_equal(fused[~valid], colours()[~valid])
    inner = cv2.erode(valid.astype(np.uint8), np.ones((9, 9))).astype(bool)
    assert np.abs(fused.astype(int) - colours())[inner].mean() > 2


def test_smoothing_averages_the_luma_and_leaves_the_hue():
    """Two still pictures that differ by 4 levels in all channels: 0.7 of the first is kept."""
    engine = Engine(Plain(), None, temporal_smoothing=0.7)
    dark, bright = (np.full((H, W, 3), (60, 90, 120), np.uint8) + shift for shift in (0, 4))
    first = engine.fuse(pair(dark.astype(np.uint8), stamp_ns=0)).image
    second = engine.fuse(pair(bright.astype(np.uint8), stamp_ns=SECOND_NS // 30)).image
    rise = second.astype(int) - first
    assert (rise <= 1).all()
    assert np.array_equal(rise[..., 0], rise[..., 2])
    alone = Engine(Plain(), None).fuse(pair(bright.astype(np.uint8))).image
    assert (alone.astype(int) - first >= 1).all()


def test_colour_pictures_are_corrected_like_luma():
    rng = np.random.default_rng(0)
    thermal = rng.random((H, W), np.float32)
    gray = rng.integers(0, 256, (H, W), np.uint8)
    told = prior({"stripes": 1.0}, noise=1.0, over_exposure=0.8)
    rgb = np.dstack([gray] * 3)
    heat, luma = InputCorrection().correct(StreamState(), thermal, gray, told)
    heat_too, colour = InputCorrection().correct(StreamState(), thermal, rgb, told)
    assert np.abs(heat - heat_too).max() < 1e-5  # the luma of a gray colour rounds otherwise
    assert np.abs(colour.astype(int) - luma[..., None]).max() <= 1
    assert np.abs(luma.astype(int) - gray).mean() > 5


def test_a_prior_of_another_width_is_refused_and_any_taken_where_none_is_stated():
    with pytest.raises(
        UsageError, match="'clip' gives tokens of width 512, model 'weighted' reads"
    ):
        Engine(Weighted(), None).check_prior("clip", 512)
    Engine(Weighted(Features(uses_prior=True)), None).check_prior("clip", 512)
    Engine(Plain(), None).check_prior("clip", 512)


def test_a_network_of_another_task_refuses_a_pair():
    with pytest.raises(UsageError, match=r"task 'vif' is none of its tasks \(mff\)"):
        Engine(Plain(tasks=("mff",)), None).fuse(pair())


def test_a_text_is_encoded_once():
    network = Weighted()
    engine = Engine(network, None)
    for text in ("dark", "dark", "bright"):
        engine.fuse_pictures([colours(), colours()[::-1].copy()], "mef", text=text)
    assert network.encoded == ["dark", "bright"]
    assert [cues.text is network.seen[0].text for cues in network.seen] == [True, True, False]


def test_warming_up_leaves_the_bank_alone():
    network = Weighted()
    bank = MemoryBank(network.bank, MemoryConfig(), network.name)
    Engine(network, bank).warm_up(H, W)
    assert bank.stats().queries == 0
    assert len(network.seen) == 2
