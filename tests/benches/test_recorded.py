"""The bench of recorded runs on a few small frames."""

import pytest

from fusion_core.errors import UsageError
from fusion_core.source import open_source
from fusion_lab.benches.configuration import bench_config
from fusion_lab.benches.live import make_street
from fusion_lab.benches.recorded import (
    RecordedCase,
    RecordedResult,
    busy_processes,
    measure_run,
    read_size,
)
from fusion_lab.benches.timing import Timing

SCENE = "synthetic://street?seed=1&seconds=1"


def test_a_run_is_timed_in_units_and_by_stage(tmp_path):
    videos = make_street(tmp_path, 0.8, 4, SCENE, size=(160, 120))
    with open_source(visible=str(videos[0]), thermal=str(videos[1])) as source:
        frames = list(source.frames())
    assert {frame.image.shape[:2] for frame in frames} == {(120, 160)}
    assert len(frames) == 2 * 24

    config = bench_config((), "m2pn-nano", detector="none")
    run = measure_run(RecordedCase(config, videos, (160, 120), 1, unit_ms=4.0), 4)
    assert (run.model, run.size, run.beside, run.step.count) == ("m2pn-nano", "160x120", 1, 4)
    assert run.units == run.frame_ms / 4
    assert run.cpu_ms > 0
    assert 0 < run.stages["network"] < run.stages["fusion"] < run.stages["total"]
    assert 0 < run.settled_mib <= run.end_mib * 1.05

    figures, stages = RecordedResult(Timing.of([2.0]), (run,)).tables()
    assert "4 frames; unit 2.00 ms" in figures.title
    assert (
        dict(zip(figures.head, figures.rows[0], strict=True))["CPU units by two"] == run.cpu_ms / 4
    )
    assert stages.rows[0][stages.head.index("network")] == run.stages["network"]


def test_processes_beside_a_run_end_with_it():
    with busy_processes(2) as busy:
        assert len(busy) == 2
        assert all(process.poll() is None for process in busy)
    assert all(process.poll() is not None for process in busy)


def test_a_size_is_width_and_height():
    assert read_size("1280x720") == (1280, 720)
    for text in ("1280", "1280x", "0x480", "axb", "1x2x3"):
        with pytest.raises(UsageError, match="expected WIDTHxHEIGHT"):
            read_size(text)
    with pytest.raises(UsageError, match="even"):
        read_size("641x480")
