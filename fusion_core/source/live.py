"""Live streams: one thread per camera; a full queue drops its oldest frame."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence

from fusion_core.errors import FusionError, SourceError
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.drop_log import DropLog
from fusion_core.runtime.process import BackgroundThread
from fusion_core.source.base import FrameReader, InputEnded, already_read
from fusion_core.source.played import PlayedStream, play_together
from fusion_core.types import Frame, Modality

_log = logging.getLogger(__name__)
_DEPTH = 8
_POLL_S = 0.1
_SILENCE_S = 10.0
_JOIN_S = 2.0


class LiveSource(Closable):
    """Cameras and sockets; see ``Source``.

    When one stream ends the other goes on; when none is left the iteration ends, with the error of
    those that broke. It ends with an error as well when all have been silent for too long.

    Args:
        readers: The inputs.
        silence_s: Seconds without any frame after which the source raises an error.
    """

    live = True
    total: int | None = None

    def __init__(self, readers: Sequence[FrameReader], *, silence_s: float = _SILENCE_S) -> None:
        self.drop_log = DropLog()
        self._readers = tuple(readers)
        for reader in self._readers:
            reader.drop_log.forward_to(self.drop_log)
        self._silence_s = silence_s
        self._queues: list[deque[Frame]] = [deque(maxlen=_DEPTH) for _ in readers]
        self._read: Counter[Modality] = Counter()
        self._errors: list[FusionError] = []
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._running = 0
        self._threads: list[threading.Thread] = []

    @property
    def read(self) -> Mapping[Modality, int]:
        """Frames given so far, per stream."""
        return dict(self._read)

    def frames(self) -> Iterator[Frame]:
        """Iterate over frames as they come, older stamps first; call once.

        Raises:
            SourceError: Every input is gone, or all are silent.
            UsageError: It was called before.
        """
        self._start()
        try:
            while (frame := self._next()) is not None:
                self._read[frame.modality] += 1
                yield frame
        finally:
            self.close()
            self._drop_queued()

    def close(self) -> None:
        """Stop the threads and release the inputs."""
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(_JOIN_S)
        if not self._threads:
            for reader in self._readers:
                reader.close()

    def _start(self) -> None:
        """Start the threads, unless the source has been closed before."""
        with self._changed:
            if self._threads:
                raise already_read(" and ".join(reader.name for reader in self._readers))
            if self._stop.is_set():
                return
            play_together([each for each in self._readers if isinstance(each, PlayedStream)])
            for reader, queue in zip(self._readers, self._queues, strict=True):
                thread = BackgroundThread(self._pump, reader.name, (reader, queue))
                thread.start()
                self._threads.append(thread)
                self._running += 1

    def _next(self) -> Frame | None:
        """Return the oldest waiting frame, None once closed."""
        deadline = time.monotonic() + self._silence_s
        with self._changed:
            while not self._stop.is_set():
                waiting = [queue for queue in self._queues if queue]
                if waiting:
                    return min(waiting, key=lambda queue: queue[0].stamp_ns).popleft()
                if not self._running and not self._errors:
                    return None
                if not self._running:
                    raise SourceError("; ".join(map(str, self._errors)))
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise self._silent()
                self._changed.wait(left_s)
        return None

    def _silent(self) -> SourceError:
        names = " and ".join(reader.name for reader in self._readers)
        return SourceError(
            f"{names}: no frame for {self._silence_s:g} s; check that the sender runs and the "
            "cable is in"
        )

    def _pump(self, reader: FrameReader, queue: deque[Frame]) -> None:
        """Read frames until the source is closed or the input is gone."""
        try:
            while not self._stop.is_set():
                frame = reader.read(_POLL_S)
                if frame is not None:
                    self._queue_frame(queue, frame)
        except InputEnded:
            pass
        except FusionError as error:
            self._fail(error)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that iterates
            self._fail(_stopped(reader, error))
        finally:
            self._end_reader(reader)

    def _end_reader(self, reader: FrameReader) -> None:
        """Release an input and count it as ended, whatever happens."""
        try:
            reader.close()
        except Exception as error:  # noqa: BLE001 - its frames were given; only said
            _log.warning("%s: was not closed (%s: %s)", reader.name, type(error).__name__, error)
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def _queue_frame(self, queue: deque[Frame], frame: Frame) -> None:
        """Hand a frame to the thread that iterates; a full queue drops its oldest."""
        with self._changed:
            oldest = queue[0] if len(queue) == queue.maxlen else None
            queue.append(frame)
            self._changed.notify_all()
        if oldest is not None:
            self.drop_log.record_drop(oldest.modality, "queue_full", oldest.stamp_ns)

    def _drop_queued(self) -> None:
        """Record the frames that were read but not iterated over."""
        with self._changed:
            left = [queue.popleft() for queue in self._queues for _ in range(len(queue))]
        for frame in left:
            self.drop_log.record_drop(frame.modality, "unread", frame.stamp_ns)

    def _fail(self, error: FusionError) -> None:
        """Keep an error for the end; log it now while another stream goes on."""
        with self._changed:
            self._errors.append(error)
            others = self._running > 1
        if others:
            _log.warning("%s; the other stream goes on", error)


def _stopped(reader: FrameReader, error: BaseException) -> SourceError:
    return SourceError(
        f"{reader.name}: stopped ({type(error).__name__}: {error}); check the input and start again"
    )
