"""Clients that misbehave, and those beside them."""

import time

import numpy as np
import pytest
import zmq
from servers import serving
from streams import ListSource, stream, thermal, visible

from fusion_core.config import Config
from fusion_core.pipeline import Pipeline
from fusion_core.serving import server as server_module
from fusion_core.serving.fair_queue import FairQueue
from fusion_core.transport.calls import Kind, Message, decode_call, encode_call

SETTINGS = {"model": "m2pn-edge", "prior": "none", "temporal_smoothing": 0.0}
FRAMES = stream(visible, 10, 0.5), stream(thermal, 10, 0.5)


class RawClient:
    """A socket with which anything can be sent."""

    def __init__(self, bind):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(bind)

    def send(self, data):
        self.socket.send(data)

    def answer(self):
        assert self.socket.poll(60_000), "no answer"
        return decode_call(self.socket.recv())

    def open(self, **opening):
        self.send(encode_call(Message(Kind.OPEN, 1, opening)))
        return self.answer()

    def close(self):
        self.context.destroy(0)


@pytest.fixture
def raw(endpoint):
    client = RawClient(endpoint)
    yield client
    client.close()


def fuse_five(bind):
    config = Config.from_dict(
        {"device": "cpu", "detector": "none", **SETTINGS, "engine": {"endpoint": bind}}
    )
    with Pipeline(config) as pipeline:
        results = list(pipeline.stream(ListSource(*FRAMES)))
    assert [fused.health for fused in results] == [()] * 5


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 40, b"GET / HTTP/1.1", np.random.default_rng(1).bytes(5000)],
    ids=["nothing", "zeros", "text", "noise"],
)
def test_garbage_is_refused_and_the_server_goes_on(endpoint, raw, data):
    raw.send(data)
    found = raw.answer()
    assert (found.kind, found.text["class"]) == (Kind.REFUSED, "EncodingError")
    fuse_five(endpoint)


def test_bytes_that_are_no_zeromq_at_all_are_dropped(endpoint):
    import socket

    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(endpoint.removeprefix("ipc://"))
        plain.sendall(b"\x16\x03\x01" + b"x" * 5000)
        fuse_five(endpoint)


def test_another_version_is_told_so(raw):
    data = encode_call(Message(Kind.OPEN, 1, {}))
    data[4] = 66
    raw.send(data)
    found = raw.answer()
    assert (found.kind, found.text["class"]) == (Kind.REFUSED, "VersionError")
    assert "version 66, this is version 65" in found.text["text"]


def test_a_call_without_a_session_is_told_to_open_one(raw):
    raw.send(encode_call(Message(Kind.CALL, 9, {})))
    found = raw.answer()
    assert (found.kind, found.number, found.text["class"]) == (Kind.REFUSED, 9, "unknown session")


@pytest.mark.parametrize("opening", [{}, {"settings": 3}, {"role": "engine", "settings": {"x": 1}}])
def test_a_wrong_opening_is_refused(raw, opening):
    found = raw.open(**opening)
    assert (found.kind, found.text["class"]) == (Kind.REFUSED, "UsageError")


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"visible": np.zeros((4, 4, 3), np.uint8), "thermal": np.zeros((5, 4), np.float32)},
        {"visible": np.zeros((4, 4), np.uint8), "thermal": np.zeros((4, 4), np.float32)},
        {"visible": np.zeros((0, 4, 3), np.uint8), "thermal": np.zeros((0, 4), np.float32)},
        {"visible": np.zeros((4, 4, 3), np.uint8), "thermal": np.zeros((4, 4), np.uint8)},
        {
            "visible": np.zeros((4, 4, 3), np.uint8),
            "thermal": np.zeros((4, 4), np.float32),
            "mask": np.zeros((3, 4), np.float32),
        },
        {
            "visible": np.zeros((4, 4, 3), np.uint8),
            "thermal": np.zeros((4, 4), np.float32),
            "memory.slots": np.zeros((2, 2), np.float32),
        },
    ],
)
def test_a_call_that_is_no_pair_fails_alone(raw, arrays):
    assert raw.open(role="engine", settings=SETTINGS).kind is Kind.OPENED
    raw.send(encode_call(Message(Kind.CALL, 2, {"stamp_ns": 0}, arrays)))
    found = raw.answer()
    assert (found.kind, found.number, found.text["class"]) == (Kind.REFUSED, 2, "EncodingError")
    good = {"visible": np.zeros((64, 64, 3), np.uint8), "thermal": np.zeros((64, 64), np.float32)}
    raw.send(encode_call(Message(Kind.CALL, 3, {"stamp_ns": 0}, good)))
    assert raw.answer().kind is Kind.RESULT


def test_what_is_too_large_ends_its_senders_connection_only(tmp_path, monkeypatch):
    monkeypatch.setattr(server_module, "MAX_CALL_BYTES", 1_000_000)
    bind = f"ipc://{tmp_path}/engine"
    with serving(bind):
        raw = RawClient(bind)
        try:
            assert raw.open(role="engine", settings=SETTINGS).kind is Kind.OPENED
            raw.send(b"x" * 2_000_000)
            fuse_five(bind)
            assert not raw.socket.poll(0)
        finally:
            raw.close()


def test_a_client_that_takes_no_answers_delays_nobody(endpoint, raw):
    assert raw.open(role="engine", settings=SETTINGS).kind is Kind.OPENED
    pair = {
        "visible": np.zeros((480, 640, 3), np.uint8),
        "thermal": np.zeros((480, 640), np.float32),
    }
    # Far more than its queues hold; it reads none of the answers.
    for number in range(2, 12):
        raw.send(encode_call(Message(Kind.CALL, number, {"stamp_ns": number}, pair)))
    fuse_five(endpoint)


def test_two_clients_have_streams_of_their_own(endpoint):
    """Their memory, options and pictures do not mix, though they share the network."""
    settings = {"device": "cpu", "detector": "none", "prior": "none", "threads": 1}
    both = [{"model": "m2pn-edge", "memory": {"mode": mode}} for mode in ("online", "frozen")]
    alone = []
    for each in both:
        with Pipeline(Config.from_dict({**settings, **each})) as pipeline:
            alone.append([fused.image for fused in pipeline.stream(ListSource(*FRAMES))])
    remote = {**settings, "engine": {"endpoint": endpoint}}
    pipelines = [Pipeline(Config.from_dict({**remote, **each})) for each in both]
    try:
        streams = [pipeline.stream(ListSource(*FRAMES)) for pipeline in pipelines]
        found = list(zip(*streams, strict=True))
    finally:
        for pipeline in pipelines:
            pipeline.close()
    for number, pair in enumerate(found):
        for which, fused in enumerate(pair):
            # Together on the server, sums are taken in another order; see test_together.py.
            difference = np.abs(fused.image.astype(int) - alone[which][number])
            assert difference.max() <= 2
            assert (difference > 0).mean() < 0.01
    assert pipelines[0].status().memory["queries"] == 5
    assert pipelines[1].status().memory["queries"] == 0


# The queue


def test_clients_take_turns_and_of_each_the_newest_is_taken():
    queue = FairQueue()
    assert queue.put(b"greedy", 1) is None
    assert queue.put(b"modest", 10) is None
    assert queue.put(b"greedy", 2) == 1
    assert queue.put(b"greedy", 3) == 2
    assert queue.take() == 3
    queue.put(b"greedy", 4)
    assert [queue.take(), queue.take()] == [10, 4]


def test_alike_work_is_taken_in_order():
    queue = FairQueue()
    for client in range(6):
        queue.put(bytes([client]), client)
    assert queue.take_alike(lambda work: work % 2 == 0, 2) == [0, 2]
    assert [queue.take() for _ in range(4)] == [1, 3, 4, 5]


def test_a_closed_queue_lets_its_workers_go():
    queue = FairQueue()
    queue.put(b"a", 1)
    queue.close()
    assert queue.take() is None


def test_the_session_that_was_not_used_for_longest_ends_first(monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    sessions = server_module.Sessions(most=2)
    sessions.add(b"a", "A")
    sessions.add(b"b", "B")
    assert sessions.get(b"a") == "A"
    sessions.add(b"c", "C")
    assert [sessions.get(name) for name in (b"a", b"b", b"c")] == ["A", None, "C"]
