"""Where every frame and every pair went: counted per stream, listed in each result."""

import itertools
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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
from fusion_core.errors import CalibrationError
from fusion_core.pipeline import Pipeline
from fusion_core.pipeline.intake import FrameIntake
from fusion_core.runtime.latest_slot import LatestSlot
from fusion_core.source.live import LiveSource
from fusion_core.sync import SyncConfig
from fusion_core.types import Frame

MS = 1_000_000
PIXEL = np.zeros((1, 1), np.uint8)


def make(**config):
    settings = {"device": "cpu", "threads": 1, "prior": "none", "detector": "none", **config}
    return Pipeline(Config.from_dict(settings))


def small(make_frame):
    return lambda stamp_ns, sequence: make_frame(stamp_ns, sequence, height=32, width=32)


STEPS = st.lists(st.sampled_from([0, 3, 10, 33, 100, 400, -20, -3000]), max_size=12)


@settings(max_examples=25, deadline=None)
@given(
    visible_steps=STEPS,
    thermal_steps=STEPS,
    policy=st.sampled_from(["hold", "skip"]),
    frozen=st.booleans(),
    left_after=st.one_of(st.none(), st.integers(1, 5)),
)
def test_frames_of_random_streams_are_all_accounted_for(
    visible_steps, thermal_steps, policy, frozen, left_after
):
    streams = []
    for make_frame, steps in ((small(visible), visible_steps), (small(thermal), thermal_steps)):
        stamps = SECOND + np.cumsum([0, *steps]) * MS
        streams.append([make_frame(int(t), 0 if frozen else n) for n, t in enumerate(stamps)])
    sync = {"on_missing_thermal": policy, "on_missing_visible": policy}
    with make(sync=sync) as pipeline:
        results = pipeline.stream(ListSource(*streams))
        count = len(list(itertools.islice(results, left_after)))
        results.close()
    status = pipeline.status()
    assert status.fused >= count
    if left_after is None:
        read = {name: len(one) for name, one in zip(("visible", "thermal"), streams, strict=True)}
        assert status.read == read
    assert_accounted(status)


def test_live_streams_are_accounted_for_down_to_the_source():
    """Every frame the readers gave was read by the pipeline or dropped by the source before."""
    frames = {"visible": stream(visible, 100, 2), "thermal": stream(thermal, 50, 2)}
    source = LiveSource([ListReader(one) for one in frames.values()], silence_s=0.5)
    with make() as pipeline, pytest.raises(Exception, match="no frame for"):
        list(pipeline.stream(source))
    status = pipeline.status()
    for name, one in frames.items():
        before = status.drops_by_stream[name]
        unread = before.get("queue_full", 0) + before.get("unread", 0)
        assert status.read[name] + unread == len(one)
    assert_accounted(status)


def test_results_list_the_drops_since_the_one_before():
    """All drops of a recording are in its results, but for those after the last pair."""
    doubled = [f for frame in stream(visible, 10, 1) for f in (frame, frame)]
    with make() as pipeline:
        results = list(pipeline.stream(ListSource(doubled, stream(thermal, 30, 1))))
    listed = [drop for fused in results for drop in fused.recent_drops]
    copies = [drop.stamp_ns for drop in listed if drop.cause == "duplicate"]
    assert copies == [frame.stamp_ns for frame in stream(visible, 10, 1)][: len(copies)]
    assert len(copies) >= 9
    surplus = {drop.stamp_ns for drop in listed if drop.cause == "unused"}
    assert surplus <= {frame.stamp_ns for frame in stream(thermal, 30, 1)}
    assert len(surplus) >= 16
    assert sum(fused.unlisted_drops for fused in results) == 0
    assert results[-1].drops["duplicate"] == len(copies)


def test_a_recording_that_fails_counts_its_last_pair():
    frames = stream(visible, 10, 1), [thermal(SECOND, 0, height=64, width=80)]
    with make() as pipeline, pytest.raises(CalibrationError):
        list(pipeline.stream(ListSource(*frames)))
    assert pipeline.status().drops["failed"] == 1
    assert_accounted(pipeline.status())


def test_health_holds_every_condition_once_however_often_it_occurs():
    bad = [thermal(f.stamp_ns, f.sequence, height=64, width=80) for f in stream(thermal, 10, 3)]
    with make() as pipeline:
        pipeline.start(lambda _: None)
        for frame in merged(stream(visible, 10, 3), bad):
            pipeline.submit(frame)
            while (
                pipeline.status().drops.get("failed", 0) + pipeline.status().drops.get("busy", 0)
                < pipeline.status().pairs
            ):
                threading.Event().wait(0.002)
        status = pipeline.status()
    assert status.drops["failed"] > 20
    assert status.health.count("failed") == 1
    assert len(set(status.health)) == len(status.health)


def frame(modality, stamp_ns):
    return Frame(stamp_ns, modality, PIXEL, "mono8")


def test_a_pair_never_displaces_one_that_was_made_after_it():
    """The first thread waits between pairing and hand-over until the second one has tried both."""
    intake = FrameIntake(SyncConfig())
    first_is_there, second_is_through = threading.Event(), threading.Event()

    class Gate(LatestSlot):
        def publish_latest(self, value):
            if not first_is_there.is_set():
                first_is_there.set()
                second_is_through.wait(0.5)
            return super().publish_latest(value)

    intake._slot = Gate()

    def submit(stamp_ns):
        intake.submit_frame(frame("thermal", stamp_ns))

    intake.submit_frame(frame("visible", SECOND))
    first = threading.Thread(target=submit, args=(SECOND,), daemon=True)
    first.start()
    assert first_is_there.wait(10)

    def second_pair():
        intake.submit_frame(frame("visible", 2 * SECOND))
        submit(2 * SECOND)
        second_is_through.set()

    second = threading.Thread(target=second_pair, daemon=True)
    second.start()
    first.join(10)
    second.join(10)
    pair, _ = intake.next_pair()
    assert pair.stamp_ns == 2 * SECOND
    assert intake.drop_log.by_stream() == {"visible": {"busy": 1}, "thermal": {}}


def test_pairs_of_cameras_in_threads_of_their_own_come_by_stamp():
    intake = FrameIntake(SyncConfig(wait_ms=0))
    taken = []

    def take_all():
        while (entry := intake.next_pair()) is not None:
            taken.append(entry[0].stamp_ns)

    def feed(modality):
        for number in range(1000):
            intake.submit_frame(frame(modality, SECOND + number * 10 * MS))

    taker = threading.Thread(target=take_all, daemon=True)
    feeders = [
        threading.Thread(target=feed, args=(name,), daemon=True) for name in ("visible", "thermal")
    ]
    for thread in (taker, *feeders):
        thread.start()
    for thread in feeders:
        thread.join(60)
    intake.end_live()
    taker.join(60)
    assert taken == sorted(set(taken))
    assert len(taken) + intake.drop_log.by_cause().get("busy", 0) == intake.pairs
