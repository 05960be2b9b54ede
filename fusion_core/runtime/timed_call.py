"""Calls with a limit on their time, so that one that never ends does not stop the caller."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, cast

from fusion_core.runtime.closable import Closable
from fusion_core.runtime.latest_slot import LatestSlot
from fusion_core.runtime.process import BackgroundThread

T = TypeVar("T")

LIVE_TIMEOUT_S: Final = 5.0  # a call on a live pair; afterwards the camera's next pairs go without
RECORDED_TIMEOUT_S: Final = 60.0  # a call on a recorded pair, which may wait for a slow machine
START_TIMEOUT_S: Final = 120.0  # the first call, which loads and prepares
_JOIN_S: Final = 1.0


class CallTimeoutError(Exception):
    """A call has not ended within its limit, or an earlier one still runs."""


class Call(Generic[T]):
    """One call and what became of it.

    Args:
        function: What is called.
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._done = threading.Event()
        self._result: T | None = None
        self._error: BaseException | None = None

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._done.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; return whether it has come."""
        return self._done.wait(timeout_s)

    def result(self) -> T:
        """Return what the function returned, or raise what it raised; once it has ended."""
        if self._error is not None:
            raise self._error
        return cast("T", self._result)

    def run(self) -> None:
        """Call the function."""
        try:
            self._result = self._function()
        except BaseException as error:  # noqa: BLE001 - raised again where it was called
            self._error = error
        finally:
            self._done.set()


class TimedCaller(Closable):
    """Runs calls one after the other in a thread of its own.

    A call that exceeds its limit is left to itself, and its result is dropped. Until it ends,
    further calls are refused at once, so that two never run at the same time.

    Args:
        name: Name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._slot: LatestSlot[Call[Any]] = LatestSlot()
        self._last: Call[Any] | None = None
        self._worker: BackgroundThread | None = None

    def call(self, function: Callable[[], T], timeout_s: float) -> T:
        """Return what a function returns, or raise what it raises.

        Raises:
            CallTimeoutError: It has not ended after ``timeout_s`` seconds, or an earlier call still
                runs.
        """
        call = self.start(function)
        if not call.wait(timeout_s):
            raise CallTimeoutError(f"no result after {timeout_s:g} s")
        return call.result()

    def start(self, function: Callable[[], T]) -> Call[T]:
        """Begin a call; the caller goes on meanwhile.

        Raises:
            CallTimeoutError: An earlier call still runs.
        """
        if self._last is not None and not self._last.done:
            raise CallTimeoutError("an earlier call still runs")
        if self._worker is None:
            self._worker = BackgroundThread(self._work, self._name)
            self._worker.start()
        call = Call(function)
        self._last = call
        self._slot.publish_latest(call)
        return call

    def close(self) -> None:
        """End the thread; one that a call blocks is left to itself."""
        self._slot.close()
        if self._worker is not None:
            self._worker.join(_JOIN_S)

    def _work(self) -> None:
        while (call := self._slot.take_latest()) is not None:
            call.run()
