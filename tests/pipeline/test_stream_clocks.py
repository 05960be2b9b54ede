"""The offset `auto`: measured once, with every frame accounted for."""

from dataclasses import replace

import numpy as np
import pytest

from fusion_core.pipeline.intake import FrameIntake
from fusion_core.pipeline.stream_clocks import StreamClocks
from fusion_core.sync import SyncConfig, Synchronizer
from fusion_core.types import Frame

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
PIXEL = np.zeros((1, 1), np.uint8)


def clocks():
    synchronizer = Synchronizer(SyncConfig(thermal_offset_ms="auto"))
    return StreamClocks(synchronizer, auto=True), synchronizer


def frames(clock_s, first, last, names=("visible", "thermal")):
    """Return the frames of some numbers at 10 Hz, the thermal clock ahead."""
    for index in range(first, last):
        now = START + index * SECOND // 10
        for name in names:
            stamp = now + round(clock_s * SECOND) * (name == "thermal")
            yield Frame(stamp, name, PIXEL, "mono8", received_ns=now)


def push(stream, given):
    return [pair for frame in given for pair in stream.push(frame)]


@pytest.mark.parametrize("clock_s", [37.0, -37.0, 0.8, -1_699_000_000.5])
def test_the_offset_is_measured_and_every_frame_is_paired(clock_s):
    stream, synchronizer = clocks()
    assert stream.offsets_ns["thermal"] is None
    pairs = push(stream, frames(clock_s, 0, 20)) + stream.flush()
    assert [pair.skew_ns for pair in pairs] == [0] * 20
    assert stream.report()["thermal_offset_ms"] == -clock_s * 1000
    assert stream.report()["problem"] == ""
    assert synchronizer.drop_log.by_cause() == {}


@pytest.mark.parametrize(("clock_s", "offset_ms"), [(-0.3, 0), (0.3, -300), (0.03, 0)])
def test_what_delivery_explains_is_no_offset(clock_s, offset_ms):
    """Thermal stamps in the future are of a clock that is ahead; older ones may be late."""
    stream, _ = clocks()
    push(stream, frames(clock_s, 0, 20))
    assert stream.report()["thermal_offset_ms"] == offset_ms


@pytest.mark.parametrize(
    ("clock_s", "rig_ms", "offset_ms"),
    [
        (0.0, 12.0, 12.0),
        (37.0, 12.0, 12.0 - 37_000),
        (-5.2, 12.0, 12.0 + 5_200),
        (37.0, -37_000.0, -37_000.0),  # the rig was made with these clocks
        (5.2, -37_000.0, -5_200.0),  # it was made with others
        (0.0, 2_000.0, 0.0),
    ],
)
def test_what_is_measured_comes_on_top_of_the_offset_of_the_rig(clock_s, rig_ms, offset_ms):
    intake = FrameIntake(SyncConfig(thermal_offset_ms="auto"), rig_ms)
    for frame in frames(clock_s, 0, 20):
        intake.pair_frame(frame)
    assert intake.clocks["thermal_offset_ms"] == pytest.approx(offset_ms, abs=0.2)
    assert intake.clocks["problem"] == ""


def test_clocks_of_known_scales_are_corrected_exactly():
    """Whatever delivery takes: TAI is 37 s ahead of UTC."""
    stream, _ = clocks()
    for frame in frames(37.0, 0, 20):
        received = frame.received_ns + (60_000_000 if frame.modality == "thermal" else 1_000_000)
        stream.push(replace(frame, received_ns=received))
    assert stream.report()["thermal_offset_ms"] == -37_000


def test_a_stream_that_comes_late_is_measured_when_it_comes():
    stream, _ = clocks()
    pairs = push(stream, frames(37.0, 0, 100, ["visible"]))
    assert len(pairs) > 90
    pairs = push(stream, frames(37.0, 100, 140))
    assert stream.report()["thermal_offset_ms"] == -37_000
    assert sum(pair.skew_ns == 0 for pair in pairs) >= 25


def test_a_short_recording_is_measured_at_its_end():
    stream, _ = clocks()
    assert push(stream, frames(37.0, 0, 3)) == []
    assert [pair.skew_ns for pair in stream.flush()] == [0, 0, 0]


@pytest.mark.parametrize("end", ["reset", "close"])
def test_frames_held_at_the_end_are_counted_as_closed(end):
    stream, synchronizer = clocks()
    push(stream, frames(37.0, 0, 3))
    getattr(stream, end)()
    assert synchronizer.read == {"visible": 3, "thermal": 3}
    assert synchronizer.drop_log.by_cause() == {"closed": 6}
