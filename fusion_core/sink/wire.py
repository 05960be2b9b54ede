"""Fused frames over ZeroMQ."""

from __future__ import annotations

import logging

from fusion_core.errors import EncodingError
from fusion_core.sink.base import Sink, SinkKind
from fusion_core.transport.pubsub import Publisher
from fusion_core.transport.result_header import result_header
from fusion_core.transport.wire import WireImage
from fusion_core.types import FusedFrame

_log = logging.getLogger(__name__)


class WireSink(Sink):
    """Publish fused images to all subscribers.

    An image that no message can carry, such as one with a stamp out of range, is left out; the
    first one is logged.

    Args:
        url: ``zmq://host:port/topic``; the loopback interface unless a host is named.

    Raises:
        UsageError: The address is malformed.
        SinkError: It cannot be bound.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._publisher = Publisher(url)
        self._warned = False

    def write(self, fused: FusedFrame) -> None:
        """Send one image; subscribers that are too slow lose frames."""
        header = result_header(fused)
        image = WireImage(
            header.stamp_ns, "fused", "rgb8", fused.image, fused.frame, header.frame_id
        )
        try:
            self._publisher.send(image)
        except EncodingError as error:
            if not self._warned:
                self._warned = True
                _log.warning("%s: frame %d left out: %s", self._url, fused.frame, error)

    def close(self) -> None:
        """Stop publishing."""
        self._publisher.close()


ZMQ = SinkKind(open=lambda address, _overlay: WireSink(address), example="zmq://host:port/topic")
