import threading
import time

import numpy as np
import pytest

from fusion_core.errors import SourceError, UsageError
from fusion_core.runtime.drop_log import DropLog
from fusion_core.source.live import LiveSource
from fusion_core.types import Frame

PIXEL = np.zeros((1, 1), np.uint8)
LIMIT_S = 5.0


class Device:
    """A camera that gives prepared stamps as fast as they are read, then raises or is silent."""

    def __init__(self, modality, stamps=(), then=None, gate=None):
        self.name = f"/dev/{modality}"
        self.drop_log = DropLog()
        self.modality, self.stamps, self.then, self.gate = modality, list(stamps), then, gate
        self.count = 0
        self.closed = threading.Event()

    def read(self, timeout_s):
        if self.gate is not None and not self.gate.wait(timeout_s):
            return None
        if self.stamps:
            self.count += 1
            stamp = self.stamps.pop(0)
            if stamp is None:
                self.drop_log.record_drop(self.modality, "corrupt")
                return None
            return Frame(stamp, self.modality, PIXEL, "mono8", sequence=self.count)
        if self.then is not None:
            raise self.then
        time.sleep(0.01)
        return None

    def close(self):
        self.closed.set()


def test_all_frames_of_both_devices_come_and_older_first(until_error):
    visible = Device("visible", [10, 30, 50], SourceError("visible gone"))
    thermal = Device("thermal", [20, 40], SourceError("thermal gone"))
    source = LiveSource([visible, thermal])
    assert source.live
    assert source.total is None
    frames, message = until_error(source.frames())
    assert sorted(frame.stamp_ns for frame in frames) == [10, 20, 30, 40, 50]
    assert source.read == {"visible": 3, "thermal": 2}
    assert sorted(message.split("; ")) == ["thermal gone", "visible gone"]
    assert visible.closed.is_set()
    assert thermal.closed.is_set()


def test_oldest_frames_give_way_to_a_slow_reader_and_are_counted(until_error):
    device = Device("visible", range(100), SourceError("gone"))
    source = LiveSource([device])
    frames = source.frames()
    next(frames)
    assert device.closed.wait(LIMIT_S)
    until_error(frames)
    assert source.read["visible"] + source.drop_log.by_cause()["queue_full"] == 100
    assert source.read["visible"] <= 1 + 8 + 8


def test_frames_that_wait_when_the_source_is_closed_are_counted():
    device = Device("thermal", range(100), SourceError("gone"))
    source = LiveSource([device])
    frames = source.frames()
    next(frames)
    assert device.closed.wait(LIMIT_S)
    source.close()
    frames.close()
    dropped = source.drop_log.by_stream()["thermal"]
    assert dropped["unread"] in {7, 8}  # 8 wait at most, of which the one read may have been one
    assert source.read["thermal"] + dropped["queue_full"] + dropped["unread"] == 100


def test_a_second_reading_names_the_next_step():
    source = LiveSource([Device("visible", [1])])
    next(source.frames())
    with pytest.raises(UsageError, match="open it again"):
        next(source.frames())


def test_newest_frames_are_the_ones_kept(until_error):
    device = Device("visible", range(100), SourceError("gone"))
    source = LiveSource([device])
    frames = source.frames()
    kept = [next(frames)]
    assert device.closed.wait(LIMIT_S)
    kept += until_error(frames)[0]
    assert [frame.stamp_ns for frame in kept[-8:]] == list(range(92, 100))


def test_one_device_goes_on_when_the_other_is_gone():
    gate = threading.Event()
    visible = Device("visible", [1], SourceError("cable"))
    thermal = Device("thermal", [2, 3, 4], SourceError("end"), gate)
    source = LiveSource([visible, thermal])
    frames = source.frames()
    assert next(frames).modality == "visible"
    assert visible.closed.wait(LIMIT_S)
    gate.set()
    assert [next(frames).stamp_ns for _ in range(3)] == [2, 3, 4]
    with pytest.raises(SourceError, match="cable; end"):
        next(frames)


def test_silence_of_all_devices_is_reported(until_error):
    source = LiveSource([Device("visible", [1]), Device("thermal")], silence_s=0.2)
    frames, message = until_error(source.frames())
    assert len(frames) == 1
    assert "/dev/visible and /dev/thermal: no frame for 0.2 s" in message


def test_lost_frames_are_counted_by_cause(until_error):
    source = LiveSource([Device("visible", [1, None, None, 4], SourceError("gone"))])
    until_error(source.frames())
    assert source.drop_log.by_cause() == {"corrupt": 2}


def test_surprising_failure_of_a_device_reaches_the_reader(until_error):
    source = LiveSource([Device("visible", [], ValueError("driver"))])
    _, message = until_error(source.frames())
    assert "/dev/visible: stopped (ValueError: driver)" in message


def test_close_from_another_thread_ends_a_waiting_reader():
    device = Device("visible")
    source = LiveSource([device])
    ended = threading.Event()

    def read():
        list(source.frames())
        ended.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    while not source._threads:
        time.sleep(0.01)
    source.close()
    assert ended.wait(LIMIT_S)
    assert device.closed.wait(LIMIT_S)
    reader.join(LIMIT_S)


def test_leaving_the_loop_stops_the_threads():
    device = Device("visible", range(10**6))
    with LiveSource([device]) as source:
        for _ in zip(range(5), source.frames(), strict=False):
            pass
    assert device.closed.wait(LIMIT_S)
    assert not any(thread.is_alive() for thread in source._threads)


def test_source_that_was_never_read_releases_its_devices():
    device = Device("visible")
    with LiveSource([device]) as source:
        pass
    assert device.closed.is_set()
    assert list(source.frames()) == []
