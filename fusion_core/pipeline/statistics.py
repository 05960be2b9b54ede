"""Counters, rates and latencies of one pipeline's results."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from fusion_core.runtime.message_filter import MessageFilter
from fusion_core.runtime.meters import LatencyMeter, RateMeter
from fusion_core.types import FramePair

_log = logging.getLogger(__name__)


class PipelineStatistics:
    """What one thread counts and others read.

    Args:
        health: Conditions from the start on.

    Attributes:
        fused: Pairs fused.
        rate: Meter of the results.
        latency: Meter of the stages.
        skew: Meter of the pairs' absolute skew.
        one_sided: Results of one stream alone: ``visible_only`` and ``thermal_only``.
        health: Conditions of the newest pair, each once.
        last_error: Newest error that did not end the stream, empty when there was none.
    """

    def __init__(self, health: tuple[str, ...]) -> None:
        self.fused = 0
        self.rate = RateMeter()
        self.latency = LatencyMeter()
        self.skew = LatencyMeter()
        self.one_sided = {"visible_only": 0, "thermal_only": 0}
        self.health = health
        self.last_error = ""
        self._messages = MessageFilter()

    def record_result(
        self, timings: Mapping[str, float], pair: FramePair, health: tuple[str, ...]
    ) -> None:
        """Count one result."""
        self.fused += 1
        self.rate.count_event()
        self.latency.record_timings(timings)
        if pair.skew_ns is not None:
            self.skew.record_timings({"skew": abs(pair.skew_ns) / 1e6})
        if pair.thermal is None or "uncalibrated" in health:
            self.one_sided["visible_only"] += 1
        elif pair.visible is None:
            self.one_sided["thermal_only"] += 1
        self.health = health

    def count_failure(self, message: str) -> None:
        """Count a pair that could not be fused."""
        if self._messages.is_new(message):
            _log.warning("pair dropped: %s", message)
        self.last_error = message
        self.health = unique((*self.health, "failed"))


def unique(health: tuple[str, ...]) -> tuple[str, ...]:
    """Return conditions in order, each once."""
    return tuple(dict.fromkeys(health))
