"""Settings, model and text that change while a stream goes on."""

import numpy as np
import pytest
from small_networks import Weighted
from streams import ListSource, stream, thermal, visible

from fusion_core.config import Config
from fusion_core.errors import ConfigError, FusionError, UsageError
from fusion_core.memory import MemoryBank
from fusion_core.models import Features
from fusion_core.pipeline import Pipeline, builders

STILL = {"device": "cpu", "prior": "none", "detector": "none", "temporal_smoothing": 0.0}
STILL |= {"mask": {"source": "none"}, "thermal": {"freeze_frames": 0}}


def config(**settings):
    return Config.from_dict({**STILL, **settings})


def same_scene(seconds=2.0):
    """Return a source of one scene again and again."""
    return ListSource(
        stream(lambda stamp, index: visible(stamp, 0), 10, seconds),
        stream(lambda stamp, index: thermal(stamp, 0), 10, seconds),
    )


def images_of(pipeline, *acts):
    """Return one picture before the acts and one after each."""
    results = pipeline.stream(same_scene())
    pictures = [next(results).image]
    for act in acts:
        act()
        pictures.append(next(results).image)
    results.close()
    return pictures


def alone(**settings):
    with Pipeline(config(**settings)) as pipeline:
        return images_of(pipeline)[0]


def test_a_model_that_comes_live_gives_what_it_gives_from_the_start():
    frozen = {"memory": {"mode": "frozen"}}
    with Pipeline(config(model="m2pn-edge", **frozen)) as pipeline:
        first, other, again = images_of(
            pipeline,
            lambda: pipeline.change({"model": "ctrlfuse"}),
            lambda: pipeline.change({"model": "m2pn-edge"}),
        )
    assert np.array_equal(other, alone(model="ctrlfuse"))
    assert not np.array_equal(first, other)
    assert np.array_equal(first, again)


def test_the_bank_of_the_first_model_goes_on_and_is_saved(tmp_path):
    file = tmp_path / "bank.safetensors"
    memory = {"mode": "online", "file": str(file)}
    with Pipeline(config(model="m2pn-edge", memory=memory)) as pipeline:
        images_of(pipeline)
        slots = pipeline._engine.bank.slots.copy()
        for name in ("ctrlfuse", "m2pn", "m2pn-edge"):
            pipeline.change({"model": name})
        assert np.array_equal(pipeline._engine.bank.slots, slots)
        pipeline.change({"model": "m2pn"})
    with Pipeline(config(model="m2pn-edge", memory=memory)) as restored:
        bank = restored._engine.bank
        assert isinstance(bank, MemoryBank)
        assert np.array_equal(bank.slots, slots)


def test_options_and_stages_change_between_two_pairs():
    mask = np.zeros((96, 128), np.uint8)
    mask[30:60, 40:80] = 255
    with Pipeline(config(model="ctrlfuse")) as pipeline:
        pipeline.submit_mask(mask)
        weak, none, off = images_of(
            pipeline,
            lambda: pipeline.change({"options.gain": 0.0}),
            lambda: (pipeline.change({"options.gain": 1}), pipeline.submit_mask(None)),
        )
        assert pipeline.config.options == {"gain": 1}
    assert not np.array_equal(weak, none)
    assert np.array_equal(none, alone(model="ctrlfuse", options={"gain": 0.0}))
    assert np.array_equal(off, alone(model="ctrlfuse"))


def test_a_new_model_begins_with_its_own_options():
    with Pipeline(config(model="ctrlfuse", options={"gain": 2.0})) as pipeline:
        pipeline.change({"model": "m2pn-edge"})
        assert pipeline.config.options == {}
        pipeline.change({"model": "ctrlfuse"})
        values = {setting.name: setting.value for setting in pipeline.live_settings()}
        assert values["options.gain"] == 1.0
        assert "options.segmenter_weights" not in values


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"sync.master": "thermal"}, ConfigError, "takes effect at the start; what can be changed"),
        ({"options.gain": 1.0}, ConfigError, "options.gain = 1.0: takes effect at the start"),
        ({"nonsense": 1}, ConfigError, "unknown key 'nonsense'"),
        ({"model": "nonsense"}, UsageError, "model 'nonsense': unknown"),
        ({"temporal_smoothing": 1.0}, ConfigError, "temporal_smoothing = 1.0"),
        ({"model": "ctrlfuse", "options.gain": 99.0}, ConfigError, "gain = 99.0"),
        ({"model": "ctrlfuse", "mask.source": "detector"}, UsageError, "no detector is chosen"),
        ({"temporal_smoothing": 0.5, "model": "ctrlfuse-full"}, FusionError, "ctrlfuse-full"),
    ],
)
def test_what_is_refused_changes_nothing(changes, error, words):
    with Pipeline(config(model="m2pn-edge")) as pipeline:
        before = pipeline.config
        with pytest.raises(error, match=words):
            pipeline.change(changes)
        assert pipeline.config == before
        assert pipeline.status().model == "m2pn-edge"
        images_of(pipeline)


def test_the_threshold_of_the_detector_changes():
    with Pipeline(config(detector="default")) as pipeline:
        pipeline.change({"detection.score_threshold": 0.9})
        assert pipeline._step.detection._threshold == 0.9
        pipeline.change({"detection.score_threshold": 0.0})
        assert pipeline._step.detection._threshold == pipeline._step.detection._detector.card.conf


def test_a_text_is_in_force_until_the_next_one(monkeypatch):
    network = Weighted(Features(uses_text=True))
    monkeypatch.setattr(builders, "load_model", lambda name, device: network)
    with Pipeline(config()) as pipeline:
        assert pipeline.status().text == ""
        images_of(
            pipeline,
            lambda: pipeline.submit_text("fog"),
            lambda: None,
            lambda: pipeline.submit_text(""),
        )
        assert pipeline.status().text == ""
    given = [
        None if cues.text is None else float(cues.text.tokens[0, 0, 0]) for cues in network.seen
    ]
    # A quarter of the way a frame; in the middle the way back begins.
    assert given[0] is None
    assert given[1:] == pytest.approx([0.03 / 4, 0.03 / 2, 0.03 / 2 * 3 / 4])
    assert network.encoded == ["fog", ""]


def test_a_text_for_a_model_that_reads_none_is_refused():
    with Pipeline(config(model="m2pn-edge")) as pipeline:
        assert pipeline.status().text is None
        with pytest.raises(UsageError, match="reads none"):
            pipeline.submit_text("fog")
