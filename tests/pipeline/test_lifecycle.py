"""A pipeline is used again, closed early, or used after its end."""

import itertools
import threading

import pytest
from streams import (
    SECOND,
    ListReader,
    ListSource,
    assert_accounted,
    merged,
    stream,
    thermal,
    visible,
)

from fusion_core.config import Config
from fusion_core.errors import UsageError
from fusion_core.pipeline import Pipeline
from fusion_core.pipeline.pair_step import PairStep
from fusion_core.source.live import LiveSource


def make(**config):
    settings = {"device": "cpu", "threads": 1, "prior": "none", "detector": "none", **config}
    return Pipeline(Config.from_dict(settings))


def recording():
    return ListSource(stream(visible, 10, 0.5), stream(thermal, 10, 0.5))


def camera():
    streams = stream(visible, 10, 5), stream(thermal, 10, 5)
    return LiveSource([ListReader(frames, pace_s=0.03) for frames in streams])


def test_every_stream_of_an_open_pipeline_gives_its_frames():
    """The same stamps a second time are no duplicates and no jump in time."""
    with make() as pipeline:
        runs = [list(pipeline.stream(recording())) for _ in range(3)]
    assert [[f.stamp_ns for f in fused] for fused in runs] == [
        [SECOND + n * SECOND // 10 for n in range(5)]
    ] * 3
    results = list(itertools.chain(*runs))
    assert [fused.frame for fused in results] == list(range(15))
    assert not any("time_jump" in fused.health for fused in results)
    assert pipeline.status().drops == {}


@pytest.mark.parametrize("order", ["live, recorded", "recorded, live", "live, live"])
def test_live_and_recorded_streams_may_follow_each_other(order):
    with make() as pipeline:
        for kind in order.split(", "):
            results = pipeline.stream(camera() if kind == "live" else recording())
            stamps = [fused.stamp_ns for fused in itertools.islice(results, 2)]
            results.close()
            assert_accounted(pipeline.status())
            assert len(stamps) == 2
            assert stamps == sorted(stamps)
    assert_accounted(pipeline.status())


@pytest.mark.parametrize(
    ("kind", "expected"), [("live", ["fused", "rest"]), ("recorded", ["fused"])]
)
def test_what_no_live_frame_waits_for_comes_after_each_result(monkeypatch, kind, expected):
    events = []
    monkeypatch.setattr(PairStep, "rest", lambda _: events.append("rest"))
    with make() as pipeline:
        results = pipeline.stream(camera() if kind == "live" else recording())
        for fused in itertools.islice(results, 3):
            assert fused.health == ()
            events.append("fused")
        results.close()
    assert events[: 2 * len(expected)] == 2 * expected


def test_a_stream_that_is_left_early_counts_what_it_leaves():
    """Both frames at 1.1 s and the pair at 1.0 s: one pair is fused, of the rest nothing is."""
    with make() as pipeline:
        results = pipeline.stream(recording())
        next(results)
        results.close()
        assert_accounted(pipeline.status())
        assert len(list(pipeline.stream(recording()))) == 5
    assert_accounted(pipeline.status())


def uses(pipeline):
    yield lambda: next(pipeline.stream(recording()))
    yield lambda: next(pipeline.stream(camera()))
    yield lambda: pipeline.start(lambda _: None)


def test_a_closed_pipeline_names_the_next_step():
    pipeline = make()
    (pair,) = pairs(pipeline)
    pipeline.close()
    pipeline.close()
    for use in (*uses(pipeline), lambda: pipeline.step(pair)):
        with pytest.raises(UsageError, match="closed: make a new Pipeline"):
            use()


def pairs(pipeline):
    pipeline._intake.pair_frame(visible(SECOND))
    return pipeline._intake.pair_frame(thermal(SECOND))


def test_a_stream_that_goes_on_after_close_names_the_next_step():
    pipeline = make()
    results = pipeline.stream(recording())
    next(results)
    pipeline.close()
    with pytest.raises(UsageError, match="closed: make a new Pipeline"):
        next(results)
    assert_accounted(pipeline.status())


def test_a_pipeline_does_one_thing_at_a_time():
    with make() as pipeline:
        results = pipeline.stream(recording())
        unread = pipeline.stream(recording())
        next(results)
        for use in uses(pipeline):
            with pytest.raises(UsageError, match="already streams"):
                use()
        with pytest.raises(UsageError, match="already streams"):
            next(unread)
        results.close()
        pipeline.start(lambda _: None)
        for use in uses(pipeline):
            with pytest.raises(UsageError, match="already runs"):
                use()


def test_frames_after_close_are_counted():
    pipeline = make()
    results = []
    pipeline.start(results.append)
    pipeline.close()
    for frame in merged(stream(visible, 10, 0.5), stream(thermal, 10, 0.5)):
        pipeline.submit(frame)
    status = pipeline.status()
    assert results == []
    assert status.drops_by_stream == {"visible": {"closed": 5}, "thermal": {"closed": 5}}
    assert_accounted(status)


def test_close_fuses_the_pair_that_waits_for_a_better_partner():
    """At 30 Hz the next thermal frame would be 13 ms late, nearer than the one 20 ms early."""
    pipeline = make()
    results = []
    pipeline.start(results.append)
    for early_ns in (53_000_000, 20_000_000):
        pipeline.submit(thermal(SECOND - early_ns))
    pipeline.submit(visible(SECOND))
    assert pipeline.status().pairs == 0
    pipeline.close()
    assert [fused.skew_ns for fused in results] == [-20_000_000]
    assert_accounted(pipeline.status())


def test_frames_that_nothing_fuses_are_counted_at_close():
    pipeline = make()
    for frame in merged(stream(visible, 10, 0.5), stream(thermal, 10, 0.5)):
        pipeline.submit(frame)
    pipeline.close()
    status = pipeline.status()
    assert status.fused == 0
    assert status.drops == {"busy": status.pairs - 1, "abandoned": 1}
    assert_accounted(status)


def test_frames_that_come_while_the_pipeline_closes_are_counted():
    pipeline = make()
    pipeline.start(lambda _: None)
    going = threading.Event()

    def feed():
        for frame in merged(stream(visible, 100, 5), stream(thermal, 100, 5)):
            pipeline.submit(frame)
            if frame.sequence == 20:
                going.set()

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    going.wait(10)
    pipeline.close()
    feeder.join(60)
    status = pipeline.status()
    assert sum(status.read.values()) == 1000
    assert_accounted(status)


def test_a_live_source_that_fails_unexpectedly_is_not_taken_for_its_end():
    class Broken(ListSource):
        live = True

        def frames(self):
            yield from super().frames()
            raise ZeroDivisionError("driver")

    with make() as pipeline, pytest.raises(ZeroDivisionError, match="driver"):
        list(pipeline.stream(Broken(stream(visible, 10, 0.3), stream(thermal, 10, 0.3))))
