import threading

import numpy as np
import pytest
import zmq

from fusion_core.source import open_source
from fusion_core.transport.pubsub import Publisher
from fusion_core.transport.wire import WireImage

COLOUR = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
COUNTS = np.arange(20, dtype=np.uint16).reshape(4, 5) * 3000


@pytest.fixture
def ports():
    with zmq.Context() as context:
        probes = [context.socket(zmq.PUB) for _ in range(2)]
        numbers = [probe.bind_to_random_port("tcp://127.0.0.1") for probe in probes]
        for probe in probes:
            probe.close()
    return numbers


class Sender:
    """Publishes numbered images until it is stopped."""

    def __init__(self, url, kind, encoding, image, numbers):
        self.publisher = Publisher(url)
        self.images = (WireImage(n * 1000, kind, encoding, image, n, "lens") for n in numbers)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        for image in self.images:
            if self.stop.wait(0.005):
                break
            self.publisher.send(image)
        self.publisher.close()

    def close(self):
        self.stop.set()
        self.thread.join(5)


def test_streams_from_two_publishers(ports):
    urls = [f"zmq://127.0.0.1:{port}/stream" for port in ports]
    senders = [
        Sender(urls[0], "visible", "rgb8", COLOUR, range(10**6)),
        Sender(urls[1], "thermal", "mono16", COUNTS, range(10**6)),
    ]
    newest = {}
    with open_source(visible=urls[0], thermal=urls[1]) as source:
        assert source.live
        for frame in source.frames():
            newest[frame.modality] = frame
            if source.read.get("visible", 0) > 3 and source.read.get("thermal", 0) > 3:
                break
    for sender in senders:
        sender.close()
    visible, thermal = newest["visible"], newest["thermal"]
    assert (visible.encoding, thermal.encoding) == ("rgb8", "mono16")
    np.testing.assert_array_equal(visible.image, COLOUR)
    np.testing.assert_array_equal(thermal.image, COUNTS)
    assert thermal.image.flags.writeable
    assert thermal.stamp_ns == thermal.sequence * 1000
    assert thermal.frame_id == "lens"


def test_gaps_in_the_numbering_are_counted(ports):
    url = f"zmq://127.0.0.1:{ports[0]}/t"
    sender = Sender(url, "thermal", "mono16", COUNTS, range(0, 10**6, 3))
    with open_source(thermal=url) as source:
        for _ in zip(range(5), source.frames(), strict=False):
            pass
    sender.close()
    assert source.drop_log.by_stream()["thermal"]["lost_on_wire"] >= 2 * 4
    assert source.drop_log.by_stream()["thermal"]["lost_on_wire"] % 2 == 0


def test_jumps_in_the_numbering_are_no_losses(ports):
    url = f"zmq://127.0.0.1:{ports[0]}/t"
    numbers = (number + 4 * 10**9 * (number % 2) for number in range(10**6))
    sender = Sender(url, "thermal", "mono16", COUNTS, numbers)
    with open_source(thermal=url) as source:
        for _ in zip(range(20), source.frames(), strict=False):
            pass
    sender.close()
    assert source.drop_log.by_stream().get("thermal", {}).get("lost_on_wire", 0) < 1000


def test_swapped_addresses_are_left_out_and_counted(ports, caplog):
    url = f"zmq://127.0.0.1:{ports[0]}/t"
    sender = Sender(url, "thermal", "mono16", COUNTS, range(10**6))
    source = open_source(visible=url)
    reader = threading.Thread(target=lambda: list(source.frames()), daemon=True)
    reader.start()
    while source.drop_log.by_cause().get("corrupt", 0) < 2:
        reader.join(0.05)
    source.close()
    reader.join(5)
    sender.close()
    assert source.read == {}
    assert "swap the two addresses" in caplog.text
