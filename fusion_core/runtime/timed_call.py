"""Calls with a limit on their time, so that one that never ends does not stop the caller."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from fusion_core.runtime.closable import Closable
from fusion_core.runtime.latest_slot import LatestSlot

T = TypeVar("T")

LIVE_TIMEOUT_S: Final = 5.0  # a call on a live pair; afterwards the camera's next pairs go without
RECORDED_TIMEOUT_S: Final = 60.0  # a call on a recorded pair, which may wait for a slow machine
START_TIMEOUT_S: Final = 120.0  # the first call, which loads and prepares
_JOIN_S: Final = 1.0


class CallTimeoutError(Exception):
    """A call has not ended within its limit, or an earlier one still runs."""


class _Call:
    """One call and what became of it."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.function()
        except BaseException as error:  # noqa: BLE001 - raised again where it was called
            self.error = error
        finally:
            self.done.set()


class TimedCaller(Closable):
    """Runs calls one after the other in a thread of its own.

    A call that exceeds its limit is left to itself, and its result is dropped. Until it ends,
    further calls are refused at once, so that two never run at the same time.

    Args:
        name: Name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._slot: LatestSlot[_Call] = LatestSlot()
        self._overdue: _Call | None = None
        self._worker: threading.Thread | None = None

    def call(self, function: Callable[[], T], timeout_s: float) -> T:
        """Return what a function returns, or raise what it raises.

        Raises:
            CallTimeoutError: It has not ended after ``timeout_s`` seconds, or an earlier call still
                runs.
        """
        if self._overdue is not None and not self._overdue.done.is_set():
            raise CallTimeoutError("an earlier call still runs")
        self._overdue = None
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._worker.start()
        call = _Call(function)
        self._slot.publish_latest(call)
        if not call.done.wait(timeout_s):
            self._overdue = call
            raise CallTimeoutError(f"no result after {timeout_s:g} s")
        if call.error is not None:
            raise call.error
        result: T = call.result
        return result

    def close(self) -> None:
        """End the thread; one that a call blocks is left to itself."""
        self._slot.close()
        if self._worker is not None:
            self._worker.join(_JOIN_S)

    def _work(self) -> None:
        while (call := self._slot.take_latest()) is not None:
            call.run()
