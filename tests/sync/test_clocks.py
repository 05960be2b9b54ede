"""Differences between the clocks are those that the test puts in; what delivery takes is not."""

import logging
import re

import numpy as np
import pytest

from fusion_core.sync import ClockMonitor, SyncConfig, Synchronizer
from fusion_core.sync.clocks import measure_correction
from fusion_core.types import Frame

SECOND = 1_000_000_000
PIXEL = np.zeros((1, 1), np.uint8)


def frames(clock_s, *, delay_s=0.0, count=12, start_s=1_700_000_000):
    """Return both streams at 10 Hz in order of reception, the thermal clock ``clock_s`` ahead."""
    found = []
    for index in range(count):
        now = start_s * SECOND + index * SECOND // 10
        found.append(Frame(now, "visible", PIXEL, "mono8", received_ns=now + 1_000_000))
        stamp = now + round(clock_s * SECOND)
        received = now + round(delay_s * SECOND) + 1_000_000
        found.append(Frame(stamp, "thermal", PIXEL, "mono8", received_ns=received))
    return sorted(found, key=lambda frame: frame.received_ns)


def monitored(clock_s, offset_s=0.0, **options):
    monitor = ClockMonitor({"visible": 0, "thermal": round(offset_s * SECOND)})
    for frame in frames(clock_s, **options):
        monitor.observe(frame)
    return monitor


@pytest.mark.parametrize(
    ("clock_s", "words"),
    [
        (37.0, "differ by 37.0 s.*ahead.*to -37000 "),
        (-37.0, "differ by 37.0 s.*behind.*to 37000 "),
        (1.7, "differ by 1.7 s.*ahead.*to -1700 "),
        (-1.7, "differ by 1.7 s.*behind.*auto"),
        (-1_699_999_000.0, "differ by 1699999000.0 s"),
        # Stamps of one stream in the future: below half a second, but no delivery does that.
        (0.3, "differ by 0.30 s.*ahead.*to -300 "),
        (0.08, "differ by 0.08 s.*ahead.*to -80 "),
    ],
)
def test_clocks_that_differ_are_named_once_with_what_to_set(caplog, clock_s, words):
    with caplog.at_level(logging.WARNING):
        monitor = monitored(clock_s)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert caplog.records[0].getMessage() == monitor.problem
    assert re.search(words, monitor.problem)


@pytest.mark.parametrize(
    ("clock_s", "options"),
    [
        (0.0, {}),
        (0.0, {"delay_s": 0.4}),
        (-0.3, {}),  # as if delivered late: cannot be told apart
        (0.03, {}),
        (0.3, {"offset_s": -0.3}),
        (37.0, {"offset_s": -37.0}),
        (0.0, {"offset_s": -1.5}),
    ],
)
def test_delivery_and_what_the_offset_corrects_are_no_problem(caplog, clock_s, options):
    monitor = monitored(clock_s, **options)
    assert monitor.problem == ""
    assert not caplog.records


def test_a_jump_of_both_streams_is_no_difference(caplog):
    monitor = ClockMonitor({"visible": 0, "thermal": 0})
    before, after = frames(0.0), frames(0.0, start_s=1_700_000_100)
    for frame in before:
        monitor.observe(frame)
    for frame in after:  # a recording played again: old stamps, new reception
        monitor.observe(
            Frame(
                frame.stamp_ns - 100 * SECOND,
                frame.modality,
                PIXEL,
                "mono8",
                received_ns=frame.received_ns,
            )
        )
    assert not caplog.records


def test_the_setting_that_is_named_leaves_the_rig_its_offset():
    monitor = ClockMonitor({"visible": 0, "thermal": 12_000_000}, rig_offset_ns=12_000_000)
    for frame in frames(37.0):
        monitor.observe(frame)
    assert "to -37000 or" in monitor.problem


NONE = {"visible": 0, "thermal": 0}


def test_the_correction_is_measured_from_reception_or_from_the_first_stamps():
    assert measure_correction(frames(5.0), NONE) == pytest.approx(-5 * SECOND, abs=SECOND // 100)
    assert measure_correction(frames(0.3), NONE) == pytest.approx(-0.3 * SECOND, abs=SECOND // 100)
    assert measure_correction(frames(-0.3), NONE) == 0
    bare = [Frame(f.stamp_ns, f.modality, PIXEL, "mono8") for f in frames(5.0)]
    assert measure_correction(bare, NONE) == -5 * SECOND
    assert measure_correction([f for f in bare if f.modality == "visible"], NONE) is None


def test_a_correction_comes_on_top_of_the_offsets_that_are_there():
    offsets = {"visible": 2 * SECOND, "thermal": 3 * SECOND}
    assert measure_correction(frames(5.0), offsets) == pytest.approx(-6 * SECOND, abs=SECOND // 100)


@pytest.mark.parametrize("ahead", ["visible", "thermal"])
@pytest.mark.parametrize("first", ["visible", "thermal"])
@pytest.mark.parametrize("clock_s", [5.0, 37.0, 1_699_999_000.0])
def test_no_stream_blocks_the_other_whichever_clock_is_ahead(ahead, first, clock_s):
    # The stream that comes first is alone for 1 s, long enough to drive the output by itself.
    synchronizer = Synchronizer(SyncConfig())
    events = []
    for name in ("visible", "thermal"):
        for index in range(40):
            now = index / 10 + (name != first)
            stamp = 2_000_000_000 + now + (clock_s if name == ahead else 0.0)
            received = round(now * SECOND)
            frame = Frame(round(stamp * SECOND), name, PIXEL, "mono8", received_ns=received)
            events.append((now, frame))
    pairs = []
    for _, frame in sorted(events, key=lambda event: event[0]):
        pairs += synchronizer.push(frame)
    # Half a second is needed to see that visible frames are behind, not late.
    assert sum(pair.visible is not None for pair in pairs) >= 34
    assert not any(pair.visible and pair.thermal for pair in pairs)


@pytest.mark.parametrize("offset_ms", [-37_000.0, 37_000.0, -1.7e12])
def test_an_offset_of_any_size_pairs_and_a_lost_stream_is_not_waited_for_that_long(offset_ms):
    synchronizer = Synchronizer(SyncConfig(thermal_offset_ms=offset_ms))
    start = 1_700_000_000 * SECOND
    shift = round(offset_ms * 1e6)
    pairs = []
    for index in range(60):
        now = start + index * SECOND // 10
        pairs += synchronizer.push(Frame(now, "visible", PIXEL, "mono8"))
        if index < 30:
            pairs += synchronizer.push(Frame(now - shift, "thermal", PIXEL, "mono8"))
    assert sum(pair.skew_ns == 0 for pair in pairs) == 30
    assert len(pairs) >= 55
