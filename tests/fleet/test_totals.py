"""Sums over the frames of a fleet."""

import numpy as np
import pyarrow as pa
import pytest

from fusion_lab.fleet.tables import SCHEMAS
from fusion_lab.fleet.totals import CHANCES, FleetTotals


def rows(stamps_s, **columns):
    listed = [
        {"stamp_ns": int(stamp * 1e9), **{name: values[i] for name, values in columns.items()}}
        for i, stamp in enumerate(stamps_s)
    ]
    return pa.Table.from_pylist(listed, schema=SCHEMAS["frames"])


def test_percentiles_are_those_of_all_frames():
    latencies = np.random.default_rng(1).lognormal(3, 0.6, 4000)
    totals = FleetTotals()
    for name, part in (("a", latencies[:3000]), ("b", latencies[3000:])):
        totals.add_frames(name, rows(np.arange(len(part)), total_ms=part))
    for share in (50, 95, 99):
        assert totals.latency_percentile(share) == pytest.approx(
            np.percentile(latencies, share), rel=0.07
        )
    assert totals.frames == {"a": 3000, "b": 1000}


def test_priors_are_means_over_recordings_by_time_since_the_start():
    totals = FleetTotals()
    totals.add_frames("early", rows([100, 105, 115], visible_haze=[0.2, 0.4, 0.9]))
    totals.add_frames("late", rows([900, 901], visible_haze=[0.6, 0.8]))
    totals.add_frames("none", rows([5], total_ms=[1.0]))
    starts, means = totals.mean_chances()
    assert starts.tolist() == [0, 10]
    assert means[:, CHANCES.index("visible_haze")] == pytest.approx([0.5, 0.9])
    assert means[:, CHANCES.index("thermal_noise")] == pytest.approx([0, 0])


def test_conditions_and_qualities_are_per_recording():
    totals = FleetTotals()
    bad = ["registration_low", "thermal_held"]
    totals.add_frames("a", rows([1, 2], health=[bad, bad[:1]], quality=[0.5, None]))
    totals.add_frames("a", rows([], health=[]))
    assert totals.conditions == {"a": {"registration_low": 2, "thermal_held": 1}}
    assert totals.qualities == {"a": (0.5, 1)}
    assert np.isnan(FleetTotals().latency_percentile(50))
