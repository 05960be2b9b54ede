"""Where dropped frames are counted, and the newest of them are listed."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from typing import Final

from fusion_core.types import Drop, Modality

_log = logging.getLogger(__name__)
_CAPACITY: Final = 100


class DropLog:
    """Counts of dropped frames by stream and cause, with a bounded list of the newest.

    Safe to use from several threads. Every drop is also logged at debug level.

    Args:
        capacity: Drops listed at most between two calls of ``take_recent``.
    """

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._counts: Counter[tuple[Modality, str]] = Counter()
        self._recent: deque[Drop] = deque(maxlen=capacity)
        self._unlisted = 0
        self._forwards: list[DropLog] = []
        self._lock = threading.Lock()

    def record_drop(
        self, modality: Modality, cause: str, stamp_ns: int | None = None, count: int = 1
    ) -> None:
        """Record frames of one stream that were dropped for one cause.

        Args:
            modality: The stream.
            cause: Why, one word.
            stamp_ns: Capture time as the camera gave it, None when it is not known.
            count: How many frames.
        """
        _log.debug("dropped: %d %s frame(s), stamp %s: %s", count, modality, stamp_ns, cause)
        drop = Drop(stamp_ns, modality, cause)
        with self._lock:
            self._counts[modality, cause] += count
            fitting = min(count, self._recent.maxlen or 0)
            excess = len(self._recent) + count - (self._recent.maxlen or 0)
            self._unlisted += max(0, excess)
            self._recent.extend([drop] * fitting)
            forwards = tuple(self._forwards)
        for log in forwards:
            log.record_drop(modality, cause, stamp_ns, count)

    def forward_to(self, log: DropLog) -> None:
        """Record every later drop in another log as well."""
        with self._lock:
            if log not in self._forwards:
                self._forwards.append(log)

    def by_cause(self) -> dict[str, int]:
        """Return cause -> frames dropped so far, of both streams together."""
        totals: Counter[str] = Counter()
        with self._lock:
            for (_, cause), count in self._counts.items():
                totals[cause] += count
        return dict(totals)

    def by_stream(self) -> dict[str, dict[str, int]]:
        """Return stream -> cause -> frames dropped so far; both streams are present."""
        found: dict[str, dict[str, int]] = {"visible": {}, "thermal": {}}
        with self._lock:
            for (modality, cause), count in self._counts.items():
                found[modality][cause] = count
        return found

    def take_recent(self) -> tuple[tuple[Drop, ...], int]:
        """Return the drops since the last call, oldest first, and how many more did not fit."""
        with self._lock:
            recent, unlisted = tuple(self._recent), self._unlisted
            self._recent.clear()
            self._unlisted = 0
        return recent, unlisted
