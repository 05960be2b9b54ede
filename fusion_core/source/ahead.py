"""A recorded stream decoded ahead of its reader, in a thread of its own."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Final, NoReturn

from fusion_core.runtime.closable import Closable
from fusion_core.runtime.drop_log import DropLog
from fusion_core.runtime.process import BackgroundThread
from fusion_core.source.base import RecordedStream
from fusion_core.types import Frame, Modality

_log = logging.getLogger(__name__)
_DEPTH: Final = 4
_JOIN_S: Final = 10.0
# What the thread hands over: a frame, an event to repeat in the reader's thread, or the end.
_Item = Frame | Callable[[], None] | None


class StreamAhead(Closable):
    """Reads a stream some frames ahead; what comes out is what the stream gives, in its order.

    Frames left out are recorded in the reader's thread, between the same two frames as without
    the thread: a recording gives the same result every time. Everything of the stream but its
    constructor is called in the thread, which closes it as well.

    Args:
        stream: The stream.
        log: Where frames that it leaves out are recorded.
    """

    def __init__(self, stream: RecordedStream, log: DropLog) -> None:
        self._stream = stream
        self._log = log
        self._queue: queue.Queue[_Item] = queue.Queue(_DEPTH)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()  # a thread is started before it is closed, or never
        stream.drop_log.forward_to(_Relay(self._put, log))

    def frames(self) -> Iterator[Frame]:
        """Iterate over the frames; what the stream raises comes after its last good frame."""
        with self._starting:
            if self._stop.is_set():
                return
            self._thread = BackgroundThread(self._work, "decoder")
            self._thread.start()
        while (item := self._queue.get()) is not None:
            if isinstance(item, Frame):
                yield item
            else:
                item()

    def close(self) -> None:
        """End the thread, which closes the stream; one that decoding blocks is left to itself."""
        with self._starting:
            self._stop.set()
        if self._thread is None:
            self._stream.close()
            return
        self._make_room()
        self._thread.join(_JOIN_S)
        # A reader that still waits, in another thread, gets its end.
        self._make_room()
        self._queue.put(None)

    def _work(self) -> None:
        try:
            for frame in self._stream.frames():
                self._put(frame)
                if self._stop.is_set():
                    return
        except BaseException as error:  # noqa: BLE001 - raised again where frames are read
            self._put(_raising(error))
        finally:
            self._close_stream()
            self._put(None)

    def _close_stream(self) -> None:
        """Close the stream; a reader that waits gets its end all the same."""
        try:
            self._stream.close()
        except Exception as error:  # noqa: BLE001 - what was read is whole
            _log.warning("a recorded input: closing failed (%s: %s)", type(error).__name__, error)

    def _put(self, item: _Item) -> None:
        """Hand something over; wait while the reader is far behind and nobody has closed."""
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue
            return

    def _make_room(self) -> None:
        while True:
            try:
                self._queue.get_nowait()
            except queue.Empty:
                return


class _Relay(DropLog):
    """Hands drops over in order with the frames, to be recorded by who reads them.

    Args:
        put: Hands something over.
        log: Where drops are recorded in the end.
    """

    def __init__(self, put: Callable[[_Item], None], log: DropLog) -> None:
        super().__init__()
        self._put = put
        self._log = log

    def record_drop(
        self, modality: Modality, cause: str, stamp_ns: int | None = None, count: int = 1
    ) -> None:
        """Hand a drop over."""
        self._put(lambda: self._log.record_drop(modality, cause, stamp_ns, count))


def _raising(error: BaseException) -> Callable[[], NoReturn]:
    """Return what raises an error."""

    def raise_it() -> NoReturn:
        raise error

    return raise_it
