"""A recorded run of videos: time a frame in units, by size, beside busy processes, with memory."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import tyro

from fusion_core.cli.settings import Assignments
from fusion_core.config import Config
from fusion_core.errors import UsageError
from fusion_core.pipeline import Pipeline
from fusion_core.runtime.process import tune_process
from fusion_core.source import open_source
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.configuration import bench_config
from fusion_lab.benches.latency import convolution_unit
from fusion_lab.benches.live import make_street
from fusion_lab.benches.machine import resident_mib
from fusion_lab.benches.tables import Cell, Table
from fusion_lab.benches.timing import Timing, interleaved

_MODELS: Final = ("m2pn-nano", "m2pn-edge")
_WARM_UP: Final = 20
_UNITS: Final = 10
_RATE: Final = 30
_SETTLED: Final = 100
_RENDERED: Final = 60
_BUSY: Final = "while True: pass"
_END_S: Final = 10


@dataclass(frozen=True, slots=True)
class RecordedFigures:
    """Figures of one run.

    Attributes:
        model: Name of the network.
        size: ``WIDTHxHEIGHT`` of both videos.
        beside: Processes that computed without pause beside it.
        frame_ms: Time from one result to the next on average, decoding included.
        units: That by the unit.
        cpu_ms: Processor time a frame, all threads of this process.
        step: The whole step of a pair, decoding left out.
        stages: Name of a stage -> its median in milliseconds.
        settled_mib: Resident memory after 100 frames, or after the warm-up of a shorter run.
        end_mib: The same at the end.
    """

    model: str
    size: str
    beside: int
    frame_ms: float
    units: float
    cpu_ms: float
    step: Timing
    stages: dict[str, float]
    settled_mib: float
    end_mib: float


@dataclass(frozen=True, slots=True)
class RecordedResult:
    """Figures of all runs.

    Attributes:
        unit: One 3x3 convolution of 32 to 32 channels at 640x480, float32, channels last, with two
            threads; measured before each run, with no other process of this bench.
        runs: One entry per size, number of processes beside it, and model.
    """

    unit: Timing
    runs: tuple[RecordedFigures, ...]

    def tables(self) -> Sequence[Table]:
        """Return one row per run, and its stages."""
        named = ("model", "size", "beside")
        timed = ("ms a frame", "units", "CPU ms", "CPU units by two", "step p50 ms", "step p99 ms")
        title = f"Recorded runs, {self.runs[0].step.count} frames; unit {self.unit.median:.2f} ms"
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (
                *(run.model, run.size, run.beside),
                *(run.frame_ms, run.units, run.cpu_ms, run.cpu_ms / 2 / self.unit.median),
                *(run.step.median, run.step.p99, run.settled_mib, run.end_mib),
            )
            for run in self.runs
        )
        head = (*named, *timed, "MiB settled", "MiB at the end")
        stages = dict.fromkeys(name for run in self.runs for name in run.stages)
        nan = float("nan")
        parts: tuple[tuple[Cell, ...], ...] = tuple(
            (run.model, run.size, run.beside, *(run.stages.get(name, nan) for name in stages))
            for run in self.runs
        )
        return [Table(title, head, rows), Table("Stages, p50 ms", (*named, *stages), parts)]


@dataclass(frozen=True, kw_only=True)
class RecordedBench(BenchCommand):
    """Fuse a recorded street of two videos with prior, scene memory and detector on every frame.

    The videos are the synthetic street, scaled to each size; nothing is written.
    """

    model: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME")] = ()
    """Models to measure; m2pn-nano and m2pn-edge when not given."""
    size: Annotated[tuple[str, ...], tyro.conf.arg(metavar="WxH")] = ("640x480",)
    """Sizes of both videos."""
    beside: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N")] = (0,)
    """Numbers of processes that compute without pause meanwhile."""
    frames: Annotated[int, tyro.conf.arg(metavar="N")] = 120
    """Frames that count, after a warm-up."""
    settings: Assignments = ()
    """Settings of the runs."""

    def measure(self) -> RecordedResult:
        """Run every model at every size, beside every number of processes."""
        names = dict.fromkeys(self.model or _MODELS)
        configs = [bench_config(self.settings, name) for name in names]
        sizes = [read_size(text) for text in self.size]
        tune_process()
        units: list[float] = []
        runs = []
        with tempfile.TemporaryDirectory() as folder:
            for size in sizes:
                seconds = (self.frames + _WARM_UP) / _RATE
                videos = make_street(Path(folder), seconds, _RENDERED, size=size)
                for beside in self.beside:
                    for config in configs:
                        unit = interleaved({"unit": convolution_unit()}, _UNITS)["unit"]
                        units += unit
                        case = RecordedCase(config, videos, size, beside, float(np.median(unit)))
                        runs.append(measure_run(case, self.frames))
        return RecordedResult(Timing.of(units), tuple(runs))


def read_size(text: str) -> tuple[int, int]:
    """Return width and height of ``WIDTHxHEIGHT``.

    Raises:
        UsageError: It is none, or an edge is odd, which the videos' colours do not allow.
    """
    parts = text.split("x")
    if len(parts) != 2 or not all(part.isdecimal() and int(part) for part in parts):
        raise UsageError(f"--size {text!r}: expected WIDTHxHEIGHT in pixels, as 1280x720")
    width, height = (int(part) for part in parts)
    if width % 2 or height % 2:
        raise UsageError(f"--size {text!r}: videos have even edges; take the next even number")
    return width, height


@dataclass(frozen=True, slots=True)
class RecordedCase:
    """One run.

    Attributes:
        config: Its settings.
        videos: Visible and thermal video.
        size: Their width and height.
        beside: Processes that compute without pause meanwhile.
        unit_ms: Duration of the unit.
    """

    config: Config
    videos: tuple[Path, Path]
    size: tuple[int, int]
    beside: int
    unit_ms: float


def measure_run(case: RecordedCase, frames: int) -> RecordedFigures:
    """Fuse two videos of at least ``frames`` and 20 more, which warm up."""
    results: list[Mapping[str, float]] = []
    settled_at = _WARM_UP + min(frames - 1, _SETTLED)
    start = cpu = settled_mib = 0.0
    visible, thermal = map(str, case.videos)
    with (
        busy_processes(case.beside),
        Pipeline(case.config) as pipeline,
        open_source(visible=visible, thermal=thermal) as source,
        closing(pipeline.stream(source)) as stream,
    ):
        for number, fused in enumerate(islice(stream, _WARM_UP + frames)):
            if number == _WARM_UP - 1:
                start, cpu = time.perf_counter(), time.process_time()
            elif number >= _WARM_UP:
                results.append(fused.timings)
            if number == settled_at:
                settled_mib = resident_mib()
        taken_ms = (time.perf_counter() - start) * 1e3 / len(results)
        cpu_ms = (time.process_time() - cpu) * 1e3 / len(results)
        end_mib = resident_mib()
    names = dict.fromkeys(name for timings in results for name in timings)
    return RecordedFigures(
        model=case.config.model,
        size="x".join(map(str, case.size)),
        beside=case.beside,
        frame_ms=taken_ms,
        units=taken_ms / case.unit_ms,
        cpu_ms=cpu_ms,
        step=Timing.of([timings["total"] for timings in results]),
        stages={name: float(np.median([t.get(name, 0.0) for t in results])) for name in names},
        settled_mib=settled_mib,
        end_mib=end_mib,
    )


@contextmanager
def busy_processes(count: int) -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    """Keep so many processes computing until the block ends, and give them."""
    command = [sys.executable, "-c", _BUSY]
    busy = [subprocess.Popen(command) for _ in range(count)]  # noqa: S603 - this interpreter
    try:
        yield busy
    finally:
        for process in busy:
            process.kill()
            process.wait(_END_S)
