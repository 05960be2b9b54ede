"""The figures of a run on live videos, from lines made by hand."""

import numpy as np
import pytest

from fusion_core.errors import FusionError
from fusion_core.source import open_source
from fusion_lab.benches.live import live_result, make_street

PERIOD_NS = 100_000_000


def line(number, *, age_ms, detections_age, detector=None):
    stages = {"age": age_ms, "total": age_ms - 1}
    return {
        "stamp_ns": number * PERIOD_NS,
        "detections_age_ns": None if detections_age is None else detections_age * PERIOD_NS,
        "latency_ms": stages if detector is None else {**stages, "detector": detector},
    }


def test_figures_by_hand():
    """10 Hz; of the last second frames 13 and 17 are missing, the detector saw every other one."""
    warm_up = [line(number, age_ms=900.0, detections_age=None) for number in range(10)]
    counted = [
        line(n, age_ms=20.0, detections_age=n % 2, detector=None if n % 2 else 15.0)
        for n in range(10, 20)
        if n not in {13, 17}
    ]
    result = live_result([*warm_up, *counted], 10.0, 1.0)
    assert result.delivered == pytest.approx(0.8)
    assert (result.age_ms.count, result.age_ms.median) == (8, 20.0)
    assert result.detections_age_ms.least == 0
    assert result.detections_age_ms.p99 == pytest.approx(100.0)
    assert (result.detected, result.looks_hz) == (1.0, 5.0)
    assert result.fresh == pytest.approx(5 / 8)  # of the others the detections are 100 ms old
    assert result.stages["total"] == 19.0
    text = "\n".join(table.markdown() for table in result.tables())
    assert "| delivered % | 80.0 |" in text


def test_a_frame_whose_stamp_is_rounded_counts():
    """30 Hz in whole microseconds, as in a file: the first frame of the last second is early."""
    lines = [
        {**line(0, age_ms=1.0, detections_age=None), "stamp_ns": round(n * 1e6 / 30) * 1000}
        for n in range(60, 100)
    ]
    assert [live_result(lines[:count], 30.0, 1.0).delivered for count in (40, 39, 38)] == [1, 1, 1]


def test_without_a_detector_nothing_is_said_of_it():
    result = live_result([line(n, age_ms=5.0, detections_age=None) for n in range(10)], 10.0, 1.0)
    assert result.detections_age_ms is None
    assert "detector" not in str(result.tables()[0])


def test_a_run_that_wrote_nothing_is_an_error():
    with pytest.raises(FusionError, match="written no frame"):
        live_result([], 30.0, 1.0)


def test_the_street_becomes_two_videos_of_one_length(tmp_path):
    visible, thermal = make_street(tmp_path, 0.25, 3, "synthetic://street?seed=1&seconds=1")
    with open_source(visible=visible, thermal=thermal) as source:
        frames = list(source.frames())
    assert len(frames) == 2 * 9  # three frames, three times
    for modality in ("visible", "thermal"):
        own = [frame for frame in frames if frame.modality == modality]
        assert [frame.stamp_ns for frame in own] == [
            pytest.approx(number * 1e9 / 30, abs=1e6) for number in range(9)
        ]
        for before, again in zip(own, own[3:], strict=False):
            np.testing.assert_array_equal(before.image, again.image)
