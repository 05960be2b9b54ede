"""Work that is handed to a thread of its own, in order, through a bounded queue."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from fusion_core.runtime.closable import Closable
from fusion_core.runtime.process import BackgroundThread

T = TypeVar("T")
_DEPTH: Final = 8


class OrderedWorker(Closable, Generic[T]):
    """Works on values one after the other, in a thread of its own.

    Who hands over waits while the queue is full, so nothing is lost. After an error the values that
    wait are passed over; the error is raised where the next value is handed over, once.

    Args:
        name: Name of the thread.
        work: Called with each value.
    """

    def __init__(self, name: str, work: Callable[[T], None]) -> None:
        self._work = work
        self._queue: queue.Queue[tuple[T] | None] = queue.Queue(_DEPTH)
        self._error: Exception | None = None
        self._ended = False
        self._thread = BackgroundThread(self._run, name)
        self._thread.start()

    def put(self, value: T) -> None:
        """Hand a value over; wait while too many wait already.

        Raises:
            Exception: What the work on an earlier value raised, once.
        """
        error = self.take_error()
        if error is not None:
            raise error
        self._queue.put((value,))

    def close(self) -> None:
        """End the thread after the values that wait; a second call does nothing."""
        if not self._ended:
            self._ended = True
            self._queue.put(None)
            self._thread.join()

    def take_error(self) -> Exception | None:
        """Return what the work raised, None when nothing or when it was raised or taken before."""
        error, self._error = self._error, None
        return error

    def _run(self) -> None:
        failed = False
        while (item := self._queue.get()) is not None:
            if failed:
                continue
            try:
                self._work(item[0])
            except Exception as error:  # noqa: BLE001 - raised again where values come from
                self._error, failed = error, True
