"""What happened so far: counters, rates and latencies of one pipeline."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping

from fusion_core.runtime.meters import LatencyMeter, RateMeter
from fusion_core.types import FramePair

_log = logging.getLogger(__name__)


class PipelineStatistics:
    """Counts from several threads.

    Args:
        health: Conditions from the start on.

    Attributes:
        pairs: Pairs formed.
        fused: Pairs fused.
        rates: Meters of ``visible``, ``thermal`` and ``fused``.
        latency: Meter of the stages.
        skew: Meter of the pairs' absolute skew.
        health: Conditions of the newest result.
        last_error: Newest error survived, empty when there was none.
    """

    def __init__(self, health: tuple[str, ...]) -> None:
        self.pairs = 0
        self.fused = 0
        self.rates = {name: RateMeter() for name in ("visible", "thermal", "fused")}
        self.latency = LatencyMeter()
        self.skew = LatencyMeter()
        self.health = health
        self.last_error = ""
        self._drops: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count_drops(self, causes: Mapping[str, int]) -> None:
        """Count what was dropped, by cause."""
        with self._lock:
            self._drops.update(causes)

    def drops(self, more: Mapping[str, int]) -> dict[str, int]:
        """Return what was dropped so far, by cause, with what others counted."""
        with self._lock:
            return dict(Counter(more) + self._drops)

    def record_result(
        self, timings: dict[str, float], pair: FramePair, health: tuple[str, ...]
    ) -> None:
        """Count one result."""
        self.fused += 1
        self.rates["fused"].tick()
        self.latency.add(timings)
        if pair.skew_ns is not None:
            self.skew.add({"skew": abs(pair.skew_ns) / 1e6})
        self.health = health

    def count_failure(self, message: str) -> None:
        """Count a pair that could not be fused."""
        if message != self.last_error:
            _log.warning("pair dropped: %s", message)
        self.last_error = message
        self.count_drops({"failed": 1})
        self.health = (*self.health, "failed")
