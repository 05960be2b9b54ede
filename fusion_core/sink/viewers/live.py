"""Results for a viewer that may be away, slow or lost: the stream never waits for it."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from typing import Final

from fusion_core.runtime.latest_slot import LatestSlot
from fusion_core.runtime.message_filter import MessageFilter
from fusion_core.runtime.process import BackgroundThread
from fusion_core.sink.base import Sink
from fusion_core.types import FusedFrame

_log = logging.getLogger(__name__)
_JOIN_S: Final = 3.0


class LiveViewerSink(Sink):
    """Hand the newest result to a thread that shows it; those it has no time for are counted.

    Args:
        url: The address, for messages.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._slot: LatestSlot[FusedFrame] = LatestSlot()
        self._counts: Counter[str] = Counter()
        self._messages = MessageFilter()
        self._worker = BackgroundThread(self._work, "viewer")

    @property
    def dropped(self) -> Mapping[str, int]:
        """Results that were not shown, by cause.

        ``viewer_away``: nobody looked, or the viewer could not be reached. ``viewer_busy``: it, or
        the way to it, was slower than the stream. ``viewer_failed``: the result cannot be shown.
        """
        return dict(self._counts)

    def write(self, fused: FusedFrame) -> None:
        """Leave a result for the viewer; returns at once."""
        if self._slot.publish_latest(fused) is not None:
            self._counts["viewer_busy"] += 1

    def close(self) -> None:
        """Show the last result, for three seconds at most; may be called twice."""
        self._slot.close()
        if self._worker.is_alive():
            self._worker.join(_JOIN_S)

    def _start(self) -> None:
        """Start the thread, once everything it needs is there."""
        self._worker.start()

    @abstractmethod
    def _show(self, fused: FusedFrame) -> str:
        """Show one result; return why it could not be shown, empty when it was.

        Called in the thread; may take its time.
        """

    @abstractmethod
    def _end(self) -> None:
        """Release what showing needs; called in the thread after the last result."""

    def _work(self) -> None:
        while (fused := self._slot.take_latest()) is not None:
            try:
                cause = self._show(fused)
            except Exception as error:  # noqa: BLE001 - no result may end the viewer, or the stream
                cause = "viewer_failed"
                message = f"{type(error).__name__}: {error}"
                if self._messages.is_new(message):
                    _log.warning("%s: frame %d not shown: %s", self._url, fused.frame, message)
            if cause:
                self._counts[cause] += 1
        self._end()
