"""Work of several clients, taken in turns; of each only the newest waits."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """One place per client, in the order in which they came.

    A client that sends more than its turn replaces its own work and keeps its place: it gains
    nothing by it, and nobody waits longer.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[bytes, T] = OrderedDict()
        self._closed = False
        self._condition = threading.Condition()

    def put(self, client: bytes, work: T) -> T | None:
        """Leave work; return that of the same client which it replaces."""
        with self._condition:
            displaced = self._waiting.get(client)
            self._waiting[client] = work
            self._condition.notify()
            return displaced

    def take(self) -> T | None:
        """Wait for work and take that of the client which waits longest; None once closed."""
        with self._condition:
            self._condition.wait_for(lambda: bool(self._waiting) or self._closed)
            return None if self._closed else self._waiting.popitem(last=False)[1]

    def take_alike(self, alike: Callable[[T], bool], most: int) -> list[T]:
        """Take what is waiting now and fits, at most so many, in order; does not wait."""
        with self._condition:
            found = [client for client, work in self._waiting.items() if alike(work)][:most]
            return [self._waiting.pop(client) for client in found]

    def close(self) -> None:
        """Drop what waits and let those who wait for work go."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
