"""Options of a model, from the configuration to the network; and what no stream can use."""

import numpy as np
import pytest
import torch
from small_networks import Plain, Weighted

from fusion_core.config import Config
from fusion_core.errors import ConfigError, UsageError
from fusion_core.models import Features
from fusion_core.pipeline import Pipeline, builders

CPU = torch.device("cpu")


def config(**settings):
    return Config.from_dict({"device": "cpu", "detector": "none", **settings})


def test_options_reach_the_network():
    model, _, _ = builders.open_engine(config(model="ctrlfuse", options={"gain": 2.5}), CPU)
    assert model.options.gain == 2.5


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model": "m2pn-edge", "options": {"gain": 1.0}}, "unknown to model 'm2pn-edge'.*none"),
        ({"model": "ctrlfuse", "options": {"gain": 12.0}}, "model 'ctrlfuse': gain = 12.0"),
        ({"model": "auto", "options": {"gain": 1.0}}, "unknown to model 'm2pn-edge' and 'mdaif'"),
    ],
)
def test_options_that_the_model_does_not_have_are_refused_at_the_start(settings, words):
    with pytest.raises(ConfigError, match=words):
        Pipeline(config(**settings))


def test_of_two_models_each_takes_its_options():
    pair = {"clean": "ctrlfuse", "degraded": "mdaif"}
    settings = config(model="auto", adapt=pair, options={"gain": 0.5})
    model, _, _ = builders.open_engine(settings, CPU)
    assert model.options.gain == 0.5
    assert [field.name for field in builders.option_fields(settings)] == [
        "gain",
        "segmenter_weights",
    ]


def test_fields_of_a_model_without_options():
    assert builders.option_fields(config(model="m2pn-edge")) == ()


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Plain(tasks=("mef",)), "'plain': does mef; models that fuse a visible.*m2pn-edge"),
        (
            Weighted(Features(uses_text=True, needs=frozenset({"text"}))),
            "'weighted': needs a cue 'text', which a stream does not have",
        ),
    ],
)
def test_networks_that_no_stream_can_use_are_refused_at_the_start(monkeypatch, network, words):
    monkeypatch.setattr(builders, "load_model", lambda name, device: network)
    with pytest.raises(UsageError, match=words):
        builders.open_engine(config(model="m2pn-edge"), CPU)


def test_a_network_that_gives_colour_runs_in_a_pipeline(monkeypatch):
    """The mean of both pictures, from the first frame to the last."""
    from streams import ListSource, stream, thermal, visible

    monkeypatch.setattr(builders, "load_model", lambda name, device: Plain())
    source = ListSource(stream(visible, 10, 0.3), stream(thermal, 10, 0.3))
    with Pipeline(config(prior="none", temporal_smoothing=0.0)) as pipeline:
        results = list(pipeline.stream(source))
    assert len(results) == 3
    for result in results:
        mean = (result.aligned.visible + 255 * result.aligned.thermal[..., None]) / 2
        assert np.abs(result.image - mean).max() <= 1.5
