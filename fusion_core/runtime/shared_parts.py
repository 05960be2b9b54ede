"""Parts that are loaded once while somebody uses them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


class SharedParts(Generic[T]):
    """Keeps parts by what they were made from, for as long as one of their users lives."""

    def __init__(self) -> None:
        self._parts: WeakValueDictionary[Hashable, T] = WeakValueDictionary()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the part of a key; it is made where nobody holds it.

        Threads that ask at the same time may each make it, and then share one: none waits for
        another that hangs.

        Args:
            key: All that the part depends on.
            make: Makes it; what it raises is the caller's.
        """
        part = self._parts.get(key)
        if part is None:
            made = make()
            with self._lock:
                part = self._parts.setdefault(key, made)
        return part


def file_identity(path: Path) -> tuple[str, int, int]:
    """Return what changes when a file is replaced: its path, size and time of change."""
    if not path.is_file():
        return str(path), 0, 0
    status = path.stat()
    return str(path.resolve()), status.st_size, status.st_mtime_ns
