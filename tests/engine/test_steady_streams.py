"""A stream of a network that diagnoses: steady, but for cuts, and by itself."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from first_street import first_street

from fusion_core.config import Config
from fusion_core.engine import Engine, torch_engine
from fusion_core.engine.stream_follower import StreamFollower
from fusion_core.models import load_model
from fusion_core.priors.change import CutDetector, signature_of
from fusion_core.serving import session
from fusion_core.serving.fusing import fuses_with
from fusion_core.serving.networks import Networks
from fusion_core.serving.session import open_session
from fusion_core.transport.calls import Kind, Message
from fusion_core.types import AlignedPair
from fusion_lab.training.wishing.samples import degraded

H, W = 96, 128
FRAME_NS = 33_000_000


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    monkeypatch.setattr(torch_engine, "fast_precision", lambda device: torch.float32)


@pytest.fixture(scope="module")
def net():
    return load_model("mmaif")


@pytest.fixture(scope="module")
def street():
    found = {side: image[:H, :W] for side, image in first_street(4).items()}
    return found["visible"], found["thermal"].astype(np.float32) / 255


def still(street, frames, *, seed=0, haze=0.5):
    """Return frames of a camera that stands still, in haze and a little noise."""
    rng, (visible, thermal) = np.random.default_rng(seed), street
    visible = degraded(visible, {"haze": haze}, 3)
    return [
        (np.clip(np.rint(visible + rng.normal(0, 3, visible.shape)), 0, 255).astype(np.uint8),
         np.clip(thermal + rng.normal(0, 0.01, thermal.shape), 0, 1).astype(np.float32))
        for _ in range(frames)
    ]  # fmt: skip


def compressed(street, frames, haze):
    """Return frames of a camera that stands still in haze; every third is compressed harder."""
    rng, (visible, thermal) = np.random.default_rng(0), street
    hazy, found = degraded(visible, {"haze": haze}, 3), []
    for number in range(frames):
        noisy = np.clip(np.rint(hazy + rng.normal(0, 1, hazy.shape)), 0, 255).astype(np.uint8)
        found.append((degraded(noisy, {"jpeg": 0.3}, 1) if number % 3 == 0 else noisy, thermal))
    return found


def pair(frame, number, step_ns=FRAME_NS):
    return AlignedPair(number * step_ns, *frame, np.ones((H, W), bool))


def fused(net, frames, step_ns=FRAME_NS, text=""):
    engine = Engine(net, None)
    engine.describe(text)
    return [engine.fuse(pair(frame, n, step_ns)).image for n, frame in enumerate(frames)]


def unrest(pictures):
    """Return how much the means of 16x16 pixels vary from frame to frame, in gray levels."""
    stack = np.stack(pictures).astype(float).mean(-1)
    return np.diff(stack.reshape(len(stack), H // 16, 16, W // 16, 16).mean((2, 4)), axis=0).std()


def test_a_still_scene_stands_still(net, street):
    """Frames without time between them are by themselves: these vary with their compression."""
    frames = compressed(street, 9, 0.4)
    steady, alone = (unrest(fused(net, frames, step)[2:]) for step in (FRAME_NS, 0))
    source = unrest([visible for visible, _ in frames])
    assert alone > source + 0.5
    assert steady < source + 0.2


def test_the_first_frame_is_the_picture_by_itself_and_so_is_the_first_after_a_cut(net, street):
    frames = still(street, 4)
    other = [(255 - visible, 1 - thermal) for visible, thermal in still(street, 1, haze=0.1)]
    shown = fused(net, [*frames, *other])
    for place, frame in ((0, frames[0]), (4, other[0])):
        np.testing.assert_array_equal(shown[place], fused(net, [frame])[0])
    assert not np.array_equal(shown[3], fused(net, [frames[3]])[0])


def test_haze_that_comes_is_cleared_within_about_a_second_and_without_a_jump(net, street):
    """A veil so thin at each step that no cut is seen; then it stays."""
    veils = [*np.linspace(0, 0.9, 10), *[0.9] * 10]
    frames = [still(street, 1, haze=float(veil), seed=n)[0] for n, veil in enumerate(veils)]
    shown = fused(net, frames, 100_000_000, "remove the haze")
    hazy, clear = (
        fused(net, frames[-1:], text=text)[0] for text in ("keep the haze", "remove the haze")
    )
    steps = [np.abs(one.astype(float) - other).mean() for one, other in pairwise(shown)]
    given = [np.abs(one[0].astype(float) - other[0]).mean() for one, other in pairwise(frames)]
    assert max(steps) < 1.5 * max(given)
    away = np.abs(shown[-1].astype(float) - clear).mean()
    assert away < 0.2 * np.abs(hazy.astype(float) - clear).mean()


def test_streams_that_share_a_network_do_not_mix(net, street):
    streams = still(street, 4, seed=1), still(street, 4, seed=2, haze=0.8)
    engines = [Engine(net, None) for _ in streams]
    mixed = [
        [
            engine.fuse(pair(frames[n], n)).image
            for engine, frames in zip(engines, streams, strict=True)
        ]
        for n in range(4)
    ]
    for who, frames in enumerate(streams):
        for alone, found in zip(fused(net, frames), mixed, strict=True):
            np.testing.assert_array_equal(found[who], alone)


def test_a_server_keeps_a_stream_per_client(street, monkeypatch):
    monkeypatch.setattr(session, "_WARM_UP", (H, W))
    opening = {"role": "engine", "settings": {"prior": "none", "model": "mmaif"}}
    networks = Networks(torch.device("cpu"))
    streams = still(street, 3, seed=1), still(street, 3, seed=2, haze=0.8)
    clients = [open_session(opening, Config(device="cpu"), networks) for _ in range(4)]

    def fuse(client, frame, number):
        arrays = dict(zip(("visible", "thermal"), frame, strict=True))
        call = Message(Kind.CALL, number, {"stamp_ns": number * FRAME_NS}, arrays)
        assert fuses_with(client, call, "cpu") is None
        return client.call(call).arrays["image"]

    alone = [
        [fuse(client, frame, n) for n, frame in enumerate(frames)]
        for client, frames in zip(clients[:2], streams, strict=True)
    ]
    assert not np.array_equal(alone[0][2], fuse(clients[0], streams[0][2], 0))
    for n in range(3):
        for client, frames, expected in zip(clients[2:], streams, alone, strict=True):
            np.testing.assert_array_equal(fuse(client, frames[n], n), expected[n])


def test_a_recording_gives_the_same_every_time(net, street):
    frames = still(street, 4)
    for one, other in zip(fused(net, frames), fused(net, frames), strict=True):
        np.testing.assert_array_equal(one, other)


def test_single_pictures_do_not_follow_one_another(net, street):
    visible, thermal = (part[0] for part in zip(*still(street, 1), strict=True))
    hot = np.repeat(np.rint(255 * thermal).astype(np.uint8)[..., None], 3, 2)
    engine = Engine(net, None)
    first = engine.fuse_pictures((visible, hot), "vif")
    engine.fuse_pictures((255 - visible, hot), "vif")
    np.testing.assert_array_equal(engine.fuse_pictures((visible, hot), "vif"), first)


def test_a_clock_that_stands_or_goes_back_and_another_size_begin_anew(street):
    follower, (frame,) = StreamFollower(), still(street, 1)

    def kept(stamp_ns, frame=frame):
        state = follower.step(AlignedPair(stamp_ns, *frame, np.ones(frame[1].shape, bool)))
        known = state.before("stamp", torch.tensor([-1.0])).item() != -1.0
        state.before("stamp", torch.tensor([1.0]))
        return known

    small = tuple(part[:48] for part in frame)
    assert [kept(stamp) for stamp in (0, 1, 1, 2, 0, 1)] == [False, True, False, True, False, True]
    assert [kept(2, small), kept(3, small)] == [False, True]
    follower.restart()
    assert not kept(4, small)


def test_what_moves_slowly_is_no_cut(street):
    detector = CutDetector(0.1)
    visible, thermal = street
    brighter = [np.clip(visible.astype(int) + n, 0, 255).astype(np.uint8) for n in range(0, 90, 10)]
    assert not any(detector.observe(pair((picture, thermal), 0)) for picture in brighter)
    assert detector.observe(pair((visible, thermal), 0))


def test_histograms_that_a_pair_carries_are_not_counted_again(street):
    """The prior's scheduler counts them; the engine's pair may be completed from memory."""
    visible, thermal = street
    first = pair((visible, thermal), 0)
    completed = replace(pair((255 - visible, thermal), 1), signature=signature_of(first))
    detector = CutDetector(0.01)
    assert not detector.observe(first)
    assert not detector.observe(completed)
    assert detector.observe(replace(completed, signature=()))
