"""Live streams: one thread per camera, the oldest waiting frame gives way."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence

from fusion_core.errors import FusionError, SourceError
from fusion_core.runtime.closable import Closable
from fusion_core.source.base import FrameReader
from fusion_core.types import Frame, Modality

_log = logging.getLogger(__name__)
_DEPTH = 8
_POLL_S = 0.1
_SILENCE_S = 10.0
_JOIN_S = 2.0


class LiveSource(Closable):
    """Cameras and sockets; see ``Source``.

    When one stream ends the other goes on; the error is raised when none is left, or when all
    have been silent for too long.

    Args:
        readers: The inputs.
        silence_s: Seconds without any frame after which the source gives up.
    """

    live = True
    total: int | None = None

    def __init__(self, readers: Sequence[FrameReader], *, silence_s: float = _SILENCE_S) -> None:
        self._readers = tuple(readers)
        self._silence_s = silence_s
        self._queues: list[deque[Frame]] = [deque(maxlen=_DEPTH) for _ in readers]
        self._read: Counter[Modality] = Counter()
        self._skipped: Counter[str] = Counter()
        self._errors: list[FusionError] = []
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._running = 0
        self._threads: list[threading.Thread] = []

    @property
    def read(self) -> Mapping[Modality, int]:
        """Frames given so far, per stream."""
        return dict(self._read)

    @property
    def skipped(self) -> Mapping[str, int]:
        """Frames lost so far, by cause: ``queue_full``, ``lost_on_wire``, ``corrupt``, ..."""
        with self._changed:
            return dict(self._skipped)

    def frames(self) -> Iterator[Frame]:
        """Iterate over frames as they come, older stamps first; call once.

        Raises:
            SourceError: Every input is gone, or all are silent.
        """
        self._start()
        try:
            while (frame := self._next()) is not None:
                self._read[frame.modality] += 1
                yield frame
        finally:
            self.close()

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
            if self._stop.is_set():
                return
            for reader, queue in zip(self._readers, self._queues, strict=True):
                thread = threading.Thread(
                    target=self._pump, args=(reader, queue), name=reader.name, daemon=True
                )
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
        """Read frames until told to stop or the input is gone."""
        try:
            while not self._stop.is_set():
                frame = reader.read(_POLL_S)
                with self._changed:
                    self._skipped.update(reader.skipped)
                    reader.skipped.clear()
                    self._put(queue, frame)
        except FusionError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - carried to the thread that iterates
            self._fail(SourceError(f"{reader.name}: stopped ({type(error).__name__}: {error})"))
        finally:
            reader.close()
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _put(self, queue: deque[Frame], frame: Frame | None) -> None:
        """Hand a frame over; the lock is held."""
        if frame is None:
            return
        if len(queue) == queue.maxlen:
            self._skipped["queue_full"] += 1
        queue.append(frame)
        self._changed.notify_all()

    def _fail(self, error: FusionError) -> None:
        """Keep an error for the end; while another stream goes on, say so now."""
        with self._changed:
            self._errors.append(error)
            others = self._running > 1
        if others:
            _log.warning("%s; the other stream goes on", error)
