"""Durations of alternatives, measured in turns.

A machine that others use as well has slow and fast minutes. Alternatives that are run one after the
other in every round see the same ones, and a median does not follow a few slow rounds. Each round
has an order of its own: what runs right after its own kind finds weights and memory in the caches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Timing:
    """Summary of some durations in milliseconds.

    Attributes:
        count: Number of durations.
        least: Shortest.
        median: Median.
        p99: 99th percentile.
    """

    count: int
    least: float
    median: float
    p99: float

    @classmethod
    def of(cls, milliseconds: Sequence[float] | NDArray[np.float64]) -> Timing:
        """Summarise at least one duration."""
        values = np.asarray(milliseconds, np.float64)
        middle, late = np.percentile(values, (50, 99))
        return cls(len(values), float(values.min()), float(middle), float(late))


def interleaved(
    cases: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Run every case once per round and return its durations in milliseconds, round by round.

    The orders are random, and the same in every run.

    Args:
        cases: Name -> work.
        rounds: Rounds that count.
        warm_up: Rounds before them that do not.
        clock: Seconds; ``time.process_time`` leaves out what other processes do.
    """
    times: dict[str, list[float]] = {name: [] for name in cases}
    names, orders = list(cases), np.random.default_rng(0)
    for number in range(warm_up + rounds):
        for name in (names[index] for index in orders.permutation(len(names))):
            start = clock()
            cases[name]()
            taken = clock() - start
            if number >= warm_up:
                times[name].append(taken * 1e3)
    return times
