"""Fused frames over ZeroMQ."""

from __future__ import annotations

from fusion_core.sink.base import Sink, SinkKind
from fusion_core.transport.pubsub import Publisher
from fusion_core.transport.result_header import result_header
from fusion_core.transport.wire import WireImage
from fusion_core.types import FusedFrame


class WireSink(Sink):
    """Publish fused images to whoever listens.

    Args:
        url: ``zmq://host:port/topic``; the loopback interface unless a host is named.

    Raises:
        UsageError: The address is malformed.
        SinkError: It cannot be bound.
    """

    def __init__(self, url: str) -> None:
        self._publisher = Publisher(url)

    def write(self, fused: FusedFrame) -> None:
        """Send one image; frames are lost to listeners that are too slow."""
        header = result_header(fused)
        self._publisher.send(
            WireImage(header.stamp_ns, "fused", "rgb8", fused.image, fused.frame, header.frame_id)
        )

    def close(self) -> None:
        """Stop publishing."""
        self._publisher.close()


ZMQ = SinkKind(open=lambda address, _overlay: WireSink(address), example="zmq://host:port/topic")
