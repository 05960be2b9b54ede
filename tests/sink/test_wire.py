import time

import numpy as np
import pytest
import zmq

from fusion_core.errors import SinkError
from fusion_core.sink import open_sink
from fusion_core.transport.pubsub import Subscriber


@pytest.fixture
def url():
    with zmq.Context() as context, context.socket(zmq.PUB) as probe:
        return f"zmq://127.0.0.1:{probe.bind_to_random_port('tcp://127.0.0.1')}/fused"


def test_fused_frames_reach_a_subscriber(url, make_fused):
    subscriber = Subscriber(url)
    fused = make_fused(9, 1234)
    got = None
    with open_sink(url) as sink:
        assert sink.path is None
        deadline = time.monotonic() + 5
        while got is None and time.monotonic() < deadline:
            sink.write(fused)
            got = subscriber.receive(0.05)
    subscriber.close()
    assert (got.kind, got.encoding, got.stamp_ns, got.sequence, got.frame_id) == (
        "fused",
        "rgb8",
        1234,
        9,
        "rgb_optical",
    )
    np.testing.assert_array_equal(got.image, fused.image)


def test_taken_port_is_named(url):
    with open_sink(url), pytest.raises(SinkError, match="free port"):
        open_sink(url)


def test_frame_that_no_message_can_carry_is_left_out(url, make_fused, caplog):
    """A camera whose clock went before 1970 must not end a live run."""
    with open_sink(url) as sink:
        for number in range(3):
            sink.write(make_fused(number, -1))
    (line,) = caplog.messages
    assert "frame 0 left out: image stamped -1 ns" in line
