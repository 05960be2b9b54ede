import numpy as np
import pytest

from fusion_core.runtime import meters
from fusion_core.runtime.meters import LatencyMeter, RateMeter, StageTimer


def test_percentiles_are_those_of_numpy():
    meter = LatencyMeter()
    values = [3.0, 1.0, 2.0, 10.0]
    for value in values:
        meter.record_timings({"fusion": value})
    expected = {f"p{rank}": pytest.approx(np.percentile(values, rank)) for rank in (50, 95, 99)}
    assert meter.percentiles()["fusion"] == expected


def test_window_bounds_the_memory():
    meter = LatencyMeter()
    for value in range(meters.WINDOW + 100):
        meter.record_timings({"fusion": float(value)})
    newest = np.arange(100, meters.WINDOW + 100)
    assert meter.percentiles((50,))["fusion"]["p50"] == np.percentile(newest, 50)


def test_rate_counts_intervals_and_forgets(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(meters.time, "monotonic", lambda: now[0])
    rate = RateMeter()
    for _ in range(11):
        rate.count_event()
        now[0] += 0.1
    assert rate.hertz() == pytest.approx(10)
    now[0] += 60
    assert rate.hertz() == 0


def test_timer_keeps_the_time_of_a_block_that_fails():
    timer = StageTimer()
    with pytest.raises(ValueError, match="no"), timer("thermal"):
        raise ValueError("no")
    assert timer.timings["thermal"] >= 0
