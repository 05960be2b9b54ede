"""Frames from a ZeroMQ publisher."""

from __future__ import annotations

import logging

import numpy as np

from fusion_core.errors import EncodingError
from fusion_core.runtime.drop_log import DropLog
from fusion_core.source.base import SourceKind
from fusion_core.transport.bit_depth import BitDepth
from fusion_core.transport.image_codec import to_modality
from fusion_core.transport.pubsub import Subscriber
from fusion_core.transport.wire import WireImage
from fusion_core.types import Frame, Modality

_log = logging.getLogger(__name__)
_LARGEST_GAP = 100_000  # larger steps of the numbering are a new sender, not lost frames


class WireReader:
    """One ZeroMQ stream as a live input; see ``FrameReader``.

    Losses on the way show as gaps in the sender's numbering, counted as ``lost_on_wire``.

    Args:
        url: ``zmq://host:port/topic``.
        modality: What the images show; a fused stream may serve as the visible one.

    Raises:
        UsageError: The address is malformed.
    """

    def __init__(self, url: str, modality: Modality) -> None:
        self.name = url
        self.drop_log = DropLog()
        self._modality: Modality = modality
        self._depth = BitDepth()
        self._subscriber = Subscriber(url)
        self._last = -1
        self._warned = False

    def read(self, timeout_s: float) -> Frame | None:
        """Wait for the next frame."""
        try:
            message = self._subscriber.receive(timeout_s)
            return None if message is None else self._frame(message)
        except EncodingError as error:
            self.drop_log.record_drop(self._modality, "corrupt")
            if not self._warned:
                self._warned = True
                _log.warning("%s: left out: %s", self.name, error)
            return None

    def close(self) -> None:
        """Disconnect."""
        self._subscriber.close()

    def _frame(self, message: WireImage) -> Frame:
        # A smaller number means that the sender was started again, not that frames were lost.
        gap = message.sequence - self._last - 1
        if self._last >= 0 and 0 < gap <= _LARGEST_GAP:
            self.drop_log.record_drop(self._modality, "lost_on_wire", count=gap)
        self._last = message.sequence
        other = "thermal" if self._modality == "visible" else "visible"
        if message.kind == other:
            raise EncodingError(
                f"the stream carries {other} images, it was given as the {self._modality} one: "
                "swap the two addresses"
            )
        image, encoding = to_modality(message.image, message.encoding, self._modality, self._depth)
        return Frame(
            message.stamp_ns,
            self._modality,
            np.require(image, requirements=["C", "W"]),
            encoding,
            message.frame_id,
            message.sequence,
        )


ZMQ = SourceKind(
    open=lambda address, modalities: WireReader(address, modalities[0]),
    example="zmq://host:port/topic",
    live=True,
)
