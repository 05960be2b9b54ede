"""SIGINT and SIGTERM end a run between two frames, with its outputs complete."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final

from typing_extensions import Self

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def quiet_abort() -> Iterator[None]:
    """End the process at once, with one line, on a signal inside this block.

    For the time in which modules are imported and nothing is open yet: an exception raised into an
    import may come out as any other one.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, _abort) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _abort(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"fusion: interrupted\n")
    os._exit(1)


def ignore_signals() -> None:
    """Let nothing cut short the end of this process, which has begun.

    Python takes its own handlers back while it ends, but leaves ignored signals ignored.
    """
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)


class StopSignal:
    """Takes the signals that end a process while it is entered.

    The first signal raises ``KeyboardInterrupt`` where work is interruptible, and is remembered
    everywhere else, so that no file is left half written. Further signals change nothing: what the
    first one began takes its course.

    Attributes:
        requested: Whether a signal has come.
    """

    def __init__(self) -> None:
        self.requested = False
        self._interruptible = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        # Python delivers signals to its main thread only, and lets no other one take them.
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After a signal the process is about to end, and nothing shall cut that short.
        if not self.requested:
            for number, handler in self._previous.items():
                signal.signal(number, handler)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let the first signal raise ``KeyboardInterrupt`` inside this block.

        Raises:
            KeyboardInterrupt: A signal has come, now or before.
        """
        self._interruptible = True
        try:
            if self.requested:
                raise KeyboardInterrupt
            yield
        finally:
            self._interruptible = False

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True
        ignore_signals()
        if self._interruptible:
            raise KeyboardInterrupt
