"""A hand-over that keeps only the newest value."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class LatestSlot(Generic[T]):
    """One place between two threads: a new value displaces one that has not been taken yet.

    Every value is returned once: by ``take_latest``, or by the ``publish_latest`` that displaced or
    refused it.
    """

    def __init__(self) -> None:
        self._value: T | None = None
        self._closed = False
        self._condition = threading.Condition()

    def publish_latest(self, value: T) -> T | None:
        """Leave a value; return the one it displaced, or itself when the slot is closed."""
        with self._condition:
            if self._closed:
                return value
            displaced, self._value = self._value, value
            self._condition.notify()
            return displaced

    def take_latest(self) -> T | None:
        """Wait for a value and take it; None once the slot is closed and empty."""
        with self._condition:
            self._condition.wait_for(lambda: self._value is not None or self._closed)
            value, self._value = self._value, None
            return value

    def close(self) -> None:
        """Refuse further values; the last one may still be taken."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
