"""Durations in turns, and intervals by resampling."""

from functools import partial

import numpy as np
import pytest

from fusion_lab.benches.intervals import bootstrap
from fusion_lab.benches.timing import Timing, interleaved


def test_cases_take_turns_and_warm_up_does_not_count():
    now, order = [0.0], []

    def work(name, seconds):
        def run():
            order.append(name)
            now[0] += seconds * len(order)

        return run

    cases = {"a": work("a", 1), "b": work("b", 10)}
    times = interleaved(cases, 2, warm_up=1, clock=lambda: now[0])
    rounds = [order[start : start + 2] for start in (0, 2, 4)]
    assert all(sorted(each) == ["a", "b"] for each in rounds)
    # Each call takes as many units as there were calls.
    calls = {name: [i + 1 for i in range(2, 6) if order[i] == name] for name in cases}
    assert times == {"a": [1_000 * i for i in calls["a"]], "b": [10_000 * i for i in calls["b"]]}


def test_no_case_always_follows_the_same_one():
    order = []
    interleaved({name: partial(order.append, name) for name in "abc"}, 30)
    before_c = {order[i - 1] for i in range(1, len(order)) if order[i] == "c"}
    assert {"a", "b"} <= before_c


def test_a_timing_is_median_and_late_percentile():
    timing = Timing.of(np.arange(1, 102))
    assert (timing.count, timing.least, timing.median, timing.p99) == (101, 1, 51, 100)


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    """Theory: mean ± 1.645 standard errors for a 90 % interval (Efron, 1979)."""
    values = np.random.default_rng(1).normal(5, 2, 400)
    interval = bootstrap(lambda picks: float(values[picks].mean()), len(values))
    error = values.std() / np.sqrt(len(values))
    assert interval.value == values.mean()
    assert interval.low == pytest.approx(values.mean() - 1.645 * error, abs=0.15 * error)
    assert interval.high == pytest.approx(values.mean() + 1.645 * error, abs=0.15 * error)


def test_undefined_draws_are_left_out():
    values = np.array([1.0, np.nan])
    interval = bootstrap(lambda picks: float(values[picks].mean()), 2)
    assert (interval.low, interval.high) == (1, 1)
    assert np.isnan(interval.value)
