"""Rates and latencies over a bounded window."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

WINDOW = 10_000
_RATE_WINDOW_S = 5.0


class LatencyMeter:
    """Percentiles per stage over the last ``WINDOW`` values; safe to read from other threads."""

    def __init__(self) -> None:
        self._values: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def record_timings(self, timings: Mapping[str, float]) -> None:
        """Record one value in milliseconds per stage."""
        with self._lock:
            for stage, value_ms in timings.items():
                self._values.setdefault(stage, deque(maxlen=WINDOW)).append(value_ms)

    def percentiles(self, ranks: tuple[int, ...] = (50, 95, 99)) -> dict[str, dict[str, float]]:
        """Return stage -> ``{"p50": ms, ...}``."""
        with self._lock:
            snapshot = {stage: list(values) for stage, values in self._values.items()}
        return {
            stage: {
                f"p{rank}": round(float(value), 3)
                for rank, value in zip(ranks, np.percentile(values, ranks), strict=True)
            }
            for stage, values in snapshot.items()
        }


class RateMeter:
    """Events per second over the last five seconds."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=2000)

    def count_event(self) -> None:
        """Record one event now."""
        self._times.append(time.monotonic())

    def hertz(self) -> float:
        """Return the rate; 0 when nothing came in the last five seconds."""
        now = time.monotonic()
        recent = [stamp for stamp in tuple(self._times) if now - stamp <= _RATE_WINDOW_S]
        if len(recent) < 2:
            return 0.0
        return (len(recent) - 1) / max(recent[-1] - recent[0], 1e-9)


class StageTimer:
    """Milliseconds per named stage of one frame."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time a block on a monotonic clock."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timings[stage] = (time.perf_counter() - start) * 1e3
