"""Pairs of several streams in one pass give what each gives alone."""

import numpy as np
import pytest
import torch
from streams import thermal_image, visible_image

from fusion_core.config import Config
from fusion_core.engine import torch_engine
from fusion_core.serving.fusing import fuse_calls, fuses_with
from fusion_core.serving.networks import Networks
from fusion_core.serving.session import open_session
from fusion_core.transport.calls import Kind, Message

CPU = torch.device("cpu")


def sessions(count, networks, **settings):
    opening = {"role": "engine", "settings": {"prior": "none", **settings}}
    return [open_session(opening, Config(device="cpu"), networks) for _ in range(count)]


def call(number, **more):
    arrays = {
        "visible": visible_image(number),
        "thermal": thermal_image(number).astype(np.float32) / 255,
        **more.pop("arrays", {}),
    }
    return Message(Kind.CALL, number, {"stamp_ns": number * 10**8, **more}, arrays)


def prior(number):
    text = {
        "scene_id": 0, "stamp_ns": number, "provider": "embedded",
        "visible": {"haze": 0.1 * number}, "thermal": {}, "quality": 0.5,
    }  # fmt: skip
    tokens = np.random.default_rng(number).normal(size=(32, 128)).astype(np.float32)
    return {"prior": text, "arrays": {"tokens": tokens}}


def mask(number):
    marked = np.zeros((96, 128), np.float32)
    marked[:, : 10 * number] = 1
    return {"arrays": {"mask": marked}}


@pytest.mark.parametrize(
    ("settings", "cue"),
    [
        ({"model": "m2pn-edge"}, lambda _: {}),
        ({"model": "mdaif", "prior": "embedded"}, prior),
        ({"model": "ctrlfuse"}, mask),
    ],
    ids=["memory", "prior", "mask"],
)
def test_together_as_alone(settings, cue, monkeypatch):
    """Float sums may be taken in another order: luma may round to the other side in a few pixels,
    which can be two levels of a colour, and more where that colour is at the end of its range. In
    bfloat16, which some processors are faster with, those pixels would not be few.
    """
    monkeypatch.setattr(torch_engine, "fast_precision", lambda device: torch.float32)
    alone = sessions(3, Networks(CPU), **settings)
    joint = sessions(3, Networks(CPU), **settings)
    for step in range(1, 4):
        calls = [call(step * 3 + who, **cue(step * 3 + who)) for who in range(3)]
        assert len({fuses_with(s, c, "cpu") for s, c in zip(joint, calls, strict=True)}) == 1
        expected = [session.call(each) for session, each in zip(alone, calls, strict=True)]
        found = fuse_calls(list(zip(joint, calls, strict=True)))
        for one, other in zip(expected, found, strict=True):
            assert (other.kind, other.number) == (Kind.RESULT, one.number)
            difference = np.abs(one.arrays["image"].astype(int) - other.arrays["image"])
            inside = ((other.arrays["image"] > 0) & (other.arrays["image"] < 255)).all(axis=-1)
            assert difference[inside].max() <= 2
            assert (difference > 0).mean() < 0.01
            assert other.text["memory_slot"] == one.text["memory_slot"]
            assert other.text["quality"] == pytest.approx(one.text["quality"], abs=1e-5)
    # The streams differ, so that a mix-up would show.
    images = [one.arrays["image"].astype(int) for one in expected]
    assert np.abs(images[0] - images[1]).mean() > 5


def test_one_that_cannot_be_read_fails_alone():
    good, bad = sessions(2, Networks(CPU), model="m2pn-edge")
    broken = call(2, arrays={"valid": np.ones((3, 3), bool)})
    found = fuse_calls([(good, call(1)), (bad, broken)])
    assert [message.kind for message in found] == [Kind.RESULT, Kind.REFUSED]


def test_what_does_not_share_a_network_or_size_is_not_joined():
    networks = Networks(CPU)
    (one,), (other,) = (sessions(1, networks, model=name) for name in ("m2pn-edge", "ctrlfuse"))
    (same,) = sessions(1, networks, model="m2pn-edge")
    common = fuses_with(one, call(1), "cpu")
    assert common == fuses_with(same, call(2), "cpu")
    assert common != fuses_with(other, call(1), "cpu")
    small = {"visible": visible_image(1, 48, 64), "thermal": np.zeros((48, 64), np.float32)}
    assert common != fuses_with(same, call(1, arrays=small), "cpu")
    assert fuses_with(one, call(1)) is None, "on a CPU nothing is joined"
    options = sessions(1, networks, model="ctrlfuse", options={"gain": 2.0})[0]
    assert fuses_with(options, call(1), "cpu") != fuses_with(other, call(1), "cpu")
