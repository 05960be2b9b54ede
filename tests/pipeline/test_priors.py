"""Scene priors through the whole pipeline."""

import dataclasses
import json
import threading
import time

import numpy as np
import pytest
from streams import SECOND, ListSource, stream, thermal, visible

from fusion_core.config import Config
from fusion_core.errors import UsageError
from fusion_core.pipeline import Pipeline
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.sink.jsonl import to_record


def make(**config):
    defaults = {"device": "cpu", "threads": 1, "prior": "embedded"}
    return Pipeline(Config.from_dict(defaults | config))


def scenes(make_frame, hertz=10):
    """Three seconds of one picture, then three of another, each a little noisy."""

    def frame(stamp_ns, sequence):
        return make_frame(stamp_ns, 1 if sequence < 3 * hertz else 40)

    return stream(frame, hertz, 6)


def lines(**config):
    with make(**config) as pipeline:
        found = pipeline.stream(ListSource(scenes(visible), scenes(thermal)))
        records = [to_record(fused) for fused in found]
    for record in records:
        del record["latency_ms"]
    return records


def dark(stamp_ns, sequence):
    """The same street by day, and after three seconds at night."""
    frame = visible(stamp_ns, 1)
    image = frame.image if sequence < 30 else (frame.image // 8)
    return type(frame)(stamp_ns, "visible", image, "rgb8", "rgb", sequence)


def test_two_runs_over_a_recording_are_identical_but_for_timings():
    first, second = (lines(priors={"refresh_s": 0.5}) for _ in range(2))
    assert [json.dumps(line) for line in first] == [json.dumps(line) for line in second]
    assert {line["prior"]["provider"] for line in first} == {"embedded"}
    assert len({line["prior"]["age_ns"] for line in first}) == 5


def test_every_frame_of_a_recording_has_a_prior_of_its_scene():
    with make(thermal={"freeze_frames": 0}) as pipeline:
        still = stream(lambda stamp, n: thermal(stamp, 1), 10, 6)
        results = list(pipeline.stream(ListSource(stream(dark, 10, 6), still)))
        status = pipeline.status()
    assert [fused.prior.scene_id for fused in results] == [0] * 34 + [1] * 26
    assert results[-1].prior.stamp_ns == results[34].stamp_ns
    assert results[0].prior.visible != results[-1].prior.visible
    assert status.prior["refreshes"] == 2
    assert (status.prior["scene"], status.health) == (1, ())


def test_without_a_provider_there_is_no_prior():
    with make(prior="none") as pipeline:
        results = list(pipeline.stream(ListSource([visible(SECOND)], [thermal(SECOND)])))
        assert results[0].prior is None
        assert pipeline.status().prior == {}
        with pytest.raises(UsageError, match="none"):
            pipeline.refresh_prior()


def test_a_missing_stream_leaves_the_other_one_assessed():
    with make() as pipeline:
        gap = [f for f in stream(thermal, 10, 5) if not 2 <= f.stamp_ns / SECOND - 1 < 4]
        results = list(pipeline.stream(ListSource(stream(visible, 10, 5), gap)))
    missing = [f for f in results if "thermal_missing" in f.health]
    assert missing[-1].prior.thermal == {}
    assert missing[-1].prior.visible
    assert results[-1].prior.thermal


class SlowProvider(EmbeddedProvider):
    """The embedded provider on a much slower machine."""

    def __init__(self, seconds):
        super().__init__()
        self._seconds = seconds
        self.release = threading.Event()
        self.calls = []

    def assess(self, visible, thermal):
        self.release.wait(self._seconds)
        self.calls.append(float(visible.mean()))
        return super().assess(visible, thermal)


def live(pipeline, frames):
    """Submit frames as a camera slower than the network would; return the results."""
    results = []
    pipeline.start(results.append)
    for frame in frames:
        pipeline.submit(frame)
        if frame.modality == "thermal":
            end = time.monotonic() + 30
            while pipeline.status().fused < pipeline.status().pairs and time.monotonic() < end:
                time.sleep(0.002)
    return results


def test_a_slow_provider_holds_up_no_live_frame(monkeypatch):
    """A provider that never answers while the stream runs: all frames are fused without it."""
    slow = SlowProvider(3600)
    monkeypatch.setattr("fusion_core.pipeline.builders.open_provider", lambda *_, **__: slow)
    merged = sorted(
        (*stream(dark, 10, 6), *stream(thermal, 10, 6)),
        key=lambda f: (f.stamp_ns, f.modality != "visible"),
    )
    with make(priors={"refresh_s": 1.0}) as pipeline:
        results = live(pipeline, merged)
        assert [fused.frame for fused in results] == list(range(60))
        assert all(fused.prior is None for fused in results)
        assert pipeline.status().drops == {}
        slow.release.set()
        end = time.monotonic() + 30
        while len(slow.calls) < 2 and time.monotonic() < end:
            time.sleep(0.005)
    # The first call had the first pair; after it came the newest one, of the night.
    assert slow.calls[0] == pytest.approx(results[0].pair.visible.image.mean())
    assert slow.calls[1] == pytest.approx(results[-1].pair.visible.image.mean())
    assert len(slow.calls) == 2


def test_a_broken_provider_shows_in_the_health_and_frames_go_on(monkeypatch):
    class Broken(EmbeddedProvider):
        def assess(self, visible, thermal):
            raise RuntimeError("no memory left")

    monkeypatch.setattr("fusion_core.pipeline.builders.open_provider", lambda *_, **__: Broken())
    with make() as pipeline:
        source = ListSource(stream(visible, 10, 1), stream(thermal, 10, 1))
        results = list(pipeline.stream(source))
        problem = pipeline.status().prior["problem"]
    assert len(results) == 10
    assert all("prior_failed" in fused.health for fused in results)
    assert "embedded: RuntimeError: no memory left" in problem


def test_without_adaptation_the_picture_does_not_depend_on_the_provider():
    """The default network does not read the prior."""
    images = []
    for prior in ("none", "embedded"):
        with make(prior=prior, adapt={"correct_inputs": False}) as pipeline:
            results = pipeline.stream(ListSource(stream(visible, 10, 1), stream(thermal, 10, 1)))
            images.append([fused.image for fused in results])
    assert all(np.array_equal(a, b) for a, b in zip(*images, strict=True))


def fixed_provider(**visible_kinds):
    """A provider that gives the same answer for every scene."""

    class Fixed(EmbeddedProvider):
        def assess(self, visible, thermal):
            found = super().assess(visible, thermal)
            return dataclasses.replace(found, visible=visible_kinds, thermal={})

    return Fixed()


@pytest.mark.parametrize(("haze", "model"), [(0.1, "m2pn-edge"), (0.9, "mdaif")])
def test_model_auto_picks_by_the_prior_and_says_so(monkeypatch, haze, model):
    monkeypatch.setattr(
        "fusion_core.pipeline.builders.open_provider", lambda *_, **__: fixed_provider(haze=haze)
    )
    with make(model="auto") as pipeline:
        source = ListSource(stream(visible, 10, 1), stream(thermal, 10, 1))
        results = list(pipeline.stream(source))
        assert pipeline.status().model == f"auto: {model}"
    assert {fused.model for fused in results} == {model}
    assert to_record(results[0])["model"] == model
    with make(model=model) as pipeline:
        source = ListSource(stream(visible, 10, 1), stream(thermal, 10, 1))
        fixed = list(pipeline.stream(source))
    assert fixed[0].model == ""
    assert "model" not in to_record(fixed[0])
    assert all(np.array_equal(a.image, b.image) for a, b in zip(results, fixed, strict=True))


def test_model_auto_without_a_prior_is_refused():
    with pytest.raises(UsageError, match="prior 'none' gives none"):
        make(model="auto", prior="none")
