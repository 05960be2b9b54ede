"""The node's own viewer, watched by a plain WebSocket client while no topic has a subscriber."""

import contextlib
import itertools
import json
import struct

import pytest
import zmq
from robot import repeat_until, wait_for

pytest.importorskip("foxglove")
connect = pytest.importorskip("websockets.sync.client").connect
TIMEOUT_S = 60


@pytest.fixture
def free_port():
    with zmq.Context() as context, context.socket(zmq.PUB) as probe:
        return probe.bind_to_random_port("tcp://127.0.0.1")


def subscribe(socket, topic):
    """Wait until a topic is there, and subscribe to it."""
    while True:
        message = json.loads(socket.recv(TIMEOUT_S))
        channels = message["channels"] if message["op"] == "advertise" else ()
        for channel in channels:
            if channel["topic"] == topic:
                wanted = {"id": 1, "channelId": channel["id"]}
                socket.send(json.dumps({"op": "subscribe", "subscriptions": [wanted]}))
                return


def test_a_viewer_is_a_subscriber(start, free_port):
    node = start(viewer=f"foxglove://127.0.0.1:{free_port}", detector="none")
    node.wait_diagnostics("node", lambda _level, message, _values: message.startswith("idle"))
    with connect(
        f"ws://127.0.0.1:{free_port}", subprotocols=["foxglove.sdk.v1"], max_size=None
    ) as socket:
        subscribe(socket, "/fusion/latency_ms")
        node.wait_diagnostics("node", lambda _level, message, _values: message == "fusing")
        arrived = []

        def send_and_receive():
            node.send_pair(100 * next(numbers), 0)
            with contextlib.suppress(TimeoutError):
                arrived.append(socket.recv(1.0))

        def shown():
            return [data for data in arrived if isinstance(data, bytes) and data[0] == 1]

        numbers = itertools.count()
        repeat_until(send_and_receive, shown, "a result in the viewer", 0.01)
        _, stamp_ns = struct.unpack_from("<IQ", shown()[0], 1)
        assert stamp_ns in {node.at(100 * number) for number in range(next(numbers))}
        assert json.loads(shown()[0][13:])["total"] > 0
    node.wait_diagnostics("node", lambda _level, message, _values: message.startswith("idle"))


def test_what_is_no_viewer_is_refused_with_what_is(start):
    node = start(viewer="out.mp4")
    wait_for(lambda: "foxglove://HOST:PORT" in node.log, "the reason")
