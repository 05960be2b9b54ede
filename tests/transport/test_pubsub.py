import time

import numpy as np
import pytest
import zmq

from fusion_core.errors import EncodingError, SinkError, UsageError
from fusion_core.transport.pubsub import Endpoint, Publisher, Subscriber
from fusion_core.transport.wire import WireImage

WAIT_S = 5.0


@pytest.fixture
def port():
    with zmq.Context() as context, context.socket(zmq.PUB) as probe:
        return probe.bind_to_random_port("tcp://127.0.0.1")


def numbered(number):
    return WireImage(number, "thermal", "mono8", np.full((3, 4), number % 256, np.uint8), number)


def until_heard(publisher, subscriber):
    """Send until the subscription has reached the publisher, and return what came."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        publisher.send(numbered(0))
        if (got := subscriber.receive(0.05)) is not None:
            return got
    raise AssertionError("the subscriber heard nothing")


def test_images_arrive_in_order(port):
    url = f"zmq://127.0.0.1:{port}/lwir"
    publisher, subscriber = Publisher(url), Subscriber(url)
    until_heard(publisher, subscriber)
    for number in range(1, 6):
        publisher.send(numbered(number))
    got = []
    while len(got) < 5:
        image = subscriber.receive(WAIT_S)
        assert image is not None
        if image.sequence:
            got.append(image)
    assert [image.sequence for image in got] == [1, 2, 3, 4, 5]
    assert all((image.image == image.sequence).all() for image in got)
    publisher.close()
    subscriber.close()


def test_convention_topic_is_matched_whole(port):
    """ZeroMQ filters by prefix alone: ``cam`` must not receive ``camera``."""
    publisher = Publisher(f"zmq://127.0.0.1:{port}/camera")
    other = Subscriber(f"zmq://127.0.0.1:{port}/cam")
    same = Subscriber(f"zmq://127.0.0.1:{port}/camera")
    until_heard(publisher, same)
    for number in range(3):
        publisher.send(numbered(number))
    assert other.receive(0.2) is None
    for end in (publisher, other, same):
        end.close()


def test_newest_only_gives_the_last_image_whole(port):
    url = f"zmq://127.0.0.1:{port}/t"
    publisher, subscriber = Publisher(url), Subscriber(url, newest_only=True)
    until_heard(publisher, subscriber)
    for number in range(1, 200):
        publisher.send(numbered(number))
        time.sleep(0.0005)
    time.sleep(0.3)
    got = subscriber.receive(WAIT_S)
    assert got.sequence == 199
    assert (got.image == 199).all()
    assert subscriber.receive(0.1) is None
    publisher.close()
    subscriber.close()


def test_foreign_message_is_an_error_and_the_next_one_is_fine(port):
    url = f"zmq://127.0.0.1:{port}/t"
    publisher, subscriber = Publisher(url), Subscriber(url)
    until_heard(publisher, subscriber)
    publisher._socket.send(b"t\0no image")
    publisher.send(numbered(7))
    problems = 0
    while True:
        try:
            image = subscriber.receive(WAIT_S)
        except EncodingError:
            problems += 1
            continue
        if image is None or image.sequence == 7:
            break
    assert problems == 1
    assert image is not None
    publisher.close()
    subscriber.close()


def test_taken_port_is_a_clear_error(port):
    first = Publisher(f"zmq://127.0.0.1:{port}/a")
    with pytest.raises(SinkError, match=f"{port}.*free port"):
        Publisher(f"zmq://127.0.0.1:{port}/b")
    first.close()


@pytest.mark.parametrize(
    ("url", "address", "topic"),
    [
        ("zmq://localhost:5555/a/b", "tcp://127.0.0.1:5555", "a/b"),
        ("zmq://:5555", "tcp://127.0.0.1:5555", ""),
        ("zmq://*:5555/x", "tcp://*:5555", "x"),
        ("zmq://robot-1.local:80/x", "tcp://robot-1.local:80", "x"),
    ],
)
def test_address_is_loopback_unless_a_host_is_named(url, address, topic):
    endpoint = Endpoint.parse(url)
    assert (endpoint.address, endpoint.topic) == (address, topic)


@pytest.mark.parametrize(
    "url", ["zmq://host/x", "zmq://host:0/x", "zmq://host:70000/x", "tcp://host:1/x", "zmq://"]
)
def test_malformed_address_is_refused(url):
    with pytest.raises(UsageError, match="zmq://host:port/topic"):
        Endpoint.parse(url)
