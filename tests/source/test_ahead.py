"""A stream decoded in a thread of its own gives what it gives without, and in the same order."""

import sys
import threading

import numpy as np
import pytest

from fusion_core.errors import SourceError
from fusion_core.runtime.drop_log import DropLog
from fusion_core.source.ahead import StreamAhead
from fusion_core.types import Frame

LIMIT_S = 60
PIXELS = np.zeros((2, 2), np.uint8)


class Numbers:
    """Every third frame is dropped; after the last one the input is torn, if asked for."""

    total = None

    def __init__(self, count, *, torn=False):
        self.drop_log = DropLog()
        self.given = 0
        self.threads = set()
        self.closed = threading.Event()
        self._count, self._torn = count, torn

    def frames(self):
        for number in range(self._count):
            self.threads.add(threading.current_thread())
            if number % 3 == 2:
                self.drop_log.record_drop("thermal", "corrupt", number)
                continue
            self.given += 1
            yield Frame(number, "thermal", PIXELS, "mono8")
        if self._torn:
            raise SourceError("torn")

    def close(self):
        self.threads.add(threading.current_thread())
        self.closed.set()


def test_frames_and_drops_come_in_the_order_of_the_stream():
    log, events = DropLog(), []
    ahead = StreamAhead(Numbers(30), log)
    for frame in ahead.frames():
        events += [drop.stamp_ns for drop in log.take_recent()[0]]
        events.append(frame.stamp_ns)
    events += [drop.stamp_ns for drop in log.take_recent()[0]]
    assert events == list(range(30))
    assert log.by_stream()["thermal"] == {"corrupt": 10}


def test_it_reads_some_frames_ahead_and_no_more():
    stream = Numbers(3000)
    ahead = StreamAhead(stream, DropLog())
    next(frames := ahead.frames())
    ahead.close()
    assert stream.given < 20
    assert list(frames) == []


def test_an_error_comes_after_the_last_good_frame():
    found = []
    with (
        StreamAhead(Numbers(10, torn=True), DropLog()) as ahead,
        pytest.raises(SourceError, match="torn"),
    ):
        found.extend(frame.stamp_ns for frame in ahead.frames())
    with StreamAhead(Numbers(10, torn=True), DropLog()) as ahead:
        frames = ahead.frames()
        assert [next(frames).stamp_ns for _ in range(7)] == [0, 1, 3, 4, 6, 7, 9]


def test_one_thread_uses_the_stream_and_closes_it():
    stream = Numbers(3000)
    with StreamAhead(stream, DropLog()) as ahead:
        next(ahead.frames())
    assert stream.closed.wait(LIMIT_S)
    assert len(stream.threads) == 1
    assert threading.main_thread() not in stream.threads


def test_closing_ends_a_reader_that_waits_in_another_thread():
    gate = threading.Event()

    class Silent(Numbers):
        def frames(self):
            gate.wait(LIMIT_S)
            yield Frame(0, "thermal", PIXELS, "mono8")

    ahead, found = StreamAhead(Silent(0), DropLog()), []
    reader = threading.Thread(target=lambda: found.extend(ahead.frames()), daemon=True)
    reader.start()
    threading.Timer(0.1, gate.set).start()
    ahead.close()
    reader.join(LIMIT_S)
    assert not reader.is_alive()


@pytest.fixture
def hasty():
    """Threads take turns after a microsecond, so that they meet at every place of the code."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hasty")
def test_closing_while_reading_begins_ends_both():
    for _ in range(100):
        stream = Numbers(3)
        ahead = StreamAhead(stream, DropLog())
        reader = threading.Thread(target=lambda ahead=ahead: list(ahead.frames()), daemon=True)
        reader.start()
        ahead.close()
        reader.join(LIMIT_S)
        assert not reader.is_alive()
        assert stream.closed.wait(LIMIT_S)


def test_closing_before_reading_closes_the_stream():
    stream = Numbers(3)
    ahead = StreamAhead(stream, DropLog())
    ahead.close()
    assert stream.closed.is_set()
    assert list(ahead.frames()) == []
