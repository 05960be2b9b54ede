"""Messages that are logged once, however often and in which order they come."""

from __future__ import annotations

from typing import Final

_CAPACITY: Final = 100


class MessageFilter:
    """Recognises messages that were seen before; remembers a bounded number of them.

    Args:
        capacity: Distinct messages that are new at most; after them none is.
    """

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._seen: set[str] = set()

    def is_new(self, message: str) -> bool:
        """Take a message; return whether to log it."""
        if message in self._seen or len(self._seen) >= self._capacity:
            return False
        self._seen.add(message)
        return True
