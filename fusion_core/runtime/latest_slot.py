"""A hand-over that keeps only the newest value."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestSlot(Generic[T]):
    """One place between two threads: a new value displaces one that nobody has taken yet."""

    def __init__(self) -> None:
        self._value: T | None = None
        self._closed = False
        self._condition = threading.Condition()

    def put(self, value: T) -> bool:
        """Leave a value; return True when it displaced one."""
        with self._condition:
            displaced = self._value is not None
            self._value = value
            self._condition.notify()
            return displaced

    def take(self) -> T | None:
        """Wait for a value and take it; None once the slot is closed and empty."""
        with self._condition:
            self._condition.wait_for(lambda: self._value is not None or self._closed)
            value, self._value = self._value, None
            return value

    def close(self) -> None:
        """Let the receiver go once the last value is taken."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
