"""The bench of endurance: faults repeat with their seed, and sums that are off are found."""

import itertools
from collections import Counter
from dataclasses import replace

import pytest

from fusion_lab.benches.configuration import bench_config
from fusion_lab.benches.latency import street_pairs
from fusion_lab.benches.soak.bench import SoakSample, drift, run_soak, unaccounted
from fusion_lab.benches.soak.faults import DURATIONS, faulty_cameras


@pytest.fixture(scope="module")
def pairs():
    return street_pairs(2, "synthetic://day?seed=1&seconds=0.2&registered=1")


def events(pairs, seed, count=3000):
    camera = faulty_cameras(pairs, 10, 0.2, seed)["thermal"]
    found = [
        (event.frame is None, event.frame and (event.frame.stamp_ns, event.frame.image.shape))
        for _ in range(count)
        for event in camera.next_events()
    ]
    return found, camera.faults


def test_a_seed_repeats_its_faults_and_brings_every_kind(pairs):
    first, faults = events(pairs, 3)
    assert (first, faults) == events(pairs, 3)
    assert first != events(pairs, 4)[0]
    assert faults.keys() == DURATIONS.keys()


def test_without_faults_frames_come_at_the_rate(pairs):
    camera = faulty_cameras(pairs, 10, 0.0, 0)["visible"]
    stamps = [event.frame.stamp_ns for _ in range(5) for event in camera.next_events()]
    assert [late - early for early, late in itertools.pairwise(stamps)] == [10**8] * 4


def test_drift_of_a_known_slope():
    """The first fifth is warm-up; afterwards 1 MiB per minute."""
    samples = [SoakSample(60.0 * n, 500.0 + (n if n >= 2 else 100), 0, 0.0) for n in range(10)]
    assert drift(samples) == pytest.approx(60)


def test_a_short_run_adds_up_and_one_with_a_lost_pair_does_not(pairs):
    config = bench_config(("prior=none", "device=cpu"), "m2pn-edge", detector="none")
    cameras = faulty_cameras(pairs, 20, 0.3, 1)
    result = run_soak(config, cameras, 20, 4, period_s=0.5)
    assert result.unaccounted == {}
    assert result.fused > 0
    assert result.not_finite == 0
    assert sum(result.faults.values()) > 5
    assert len(result.samples) >= 3
    for table in result.tables():
        table.markdown()


def test_sums_that_do_not_agree_are_named(pairs):
    from fusion_core.pipeline import Pipeline

    with Pipeline(bench_config(("prior=none",), "m2pn-edge", detector="none")) as pipeline:
        status = pipeline.status()
    assert unaccounted(status, Counter()) == {}
    assert unaccounted(replace(status, pairs=2), {"visible": 1}) == {
        "pairs": 2,
        "visible submitted": -1,
    }
