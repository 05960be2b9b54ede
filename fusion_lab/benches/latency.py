"""Latency, start-up and memory of the pipeline, per model, on a synthetic 640x480 stream."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from typing import Annotated

import numpy as np
import torch
import tyro

from fusion_core.cli.settings import Assignments
from fusion_core.config import Config
from fusion_core.models import list_models
from fusion_core.pipeline import Pipeline
from fusion_core.source import open_source
from fusion_core.sync import SyncConfig, Synchronizer
from fusion_core.types import FramePair, FusedFrame
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.configuration import bench_config
from fusion_lab.benches.machine import resident_mib
from fusion_lab.benches.tables import Table
from fusion_lab.benches.timing import Timing, interleaved

STREET = "synthetic://street?seed=1&registered=1"
_WARM_UP = 10
_UNIT_THREADS = 2


@dataclass(frozen=True, slots=True)
class ModelLatency:
    """Figures of one model.

    Attributes:
        model: Its name.
        first_frame_s: From loading it to its first fused frame.
        network: In the network.
        pipeline: In the whole step.
        rest: In the step without the network.
        units: Median over the rounds of network by unit.
        cpu: Processor time of the whole step, all threads: what other work on the machine does not
            stretch.
        cpu_units: Median over the rounds of that by the processor time of the unit.
    """

    model: str
    first_frame_s: float
    network: Timing
    pipeline: Timing
    rest: Timing
    units: float
    cpu: Timing
    cpu_units: float


@dataclass(frozen=True, slots=True)
class LatencyResult:
    """Figures of a run.

    Attributes:
        threads: Threads of the networks.
        unit: One 3x3 convolution of 32 to 32 channels at 640x480, float32, channels last, with two
            threads: what durations are divided by to compare machines.
        models: One entry per model.
        memory_growth_percent: Growth of the resident memory over the rounds that count.
    """

    threads: int
    unit: Timing
    models: tuple[ModelLatency, ...]
    memory_growth_percent: float

    def tables(self) -> Sequence[Table]:
        """Return one row per model."""
        head = ("model", "network p50 ms", "p99", "units", "pipeline p50 ms", "p99")
        rows = tuple(
            (
                entry.model,
                entry.network.median,
                entry.network.p99,
                entry.units,
                entry.pipeline.median,
                entry.pipeline.p99,
                entry.rest.median,
                entry.cpu.median,
                entry.cpu_units,
                entry.first_frame_s,
            )
            for entry in self.models
        )
        title = (
            f"640x480, {self.threads} threads, {self.unit.count} rounds in turns; "
            f"unit {self.unit.median:.2f} ms; "
            f"memory {self.memory_growth_percent:+.2f} %"
        )
        more = ("without network p50 ms", "pipeline CPU ms", "CPU units", "first frame s")
        return [Table(title, (*head, *more), rows)]


@dataclass(frozen=True, kw_only=True)
class LatencyBench(BenchCommand):
    """Measure latency, start-up and memory of the pipeline on a synthetic 640x480 stream.

    All models take turns frame by frame, beside one fixed convolution, the unit, so that other work
    on the machine meets all of them alike.
    """

    model: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME")] = ()
    """Models to measure; all that have weights when not given."""
    frames: int = 200
    """Frames measured per model, after a warm-up."""
    settings: Assignments = ()
    """Any other setting of the pipelines; detector is none when not given."""

    def measure(self) -> LatencyResult:
        """Run all models in turns."""
        shipped = tuple(model.name for model in list_models() if model.weights_present)
        names = tuple(dict.fromkeys(self.model or shipped))
        configs = {name: bench_config(self.settings, name, detector="none") for name in names}
        return measure_latency(configs, street_pairs(30), self.frames)


def measure_latency(
    configs: dict[str, Config], pairs: Sequence[FramePair], rounds: int, warm_up: int = _WARM_UP
) -> LatencyResult:
    """Run one pipeline per configuration over the pairs, in turns.

    Args:
        configs: Name -> configuration.
        pairs: Pairs with both sides, taken round and round.
        rounds: Frames per pipeline that count.
        warm_up: Frames before them.
    """
    with ExitStack() as stack:
        pipelines, first_frame_s = {}, {}
        for name, config in configs.items():
            start = time.perf_counter()
            pipelines[name] = stack.enter_context(Pipeline(config))
            _fused(pipelines[name], pairs[0])
            first_frame_s[name] = time.perf_counter() - start
        steps = {name: _Steps(pipeline, pairs) for name, pipeline in pipelines.items()}
        reference = _Counted(convolution_unit())
        cases: dict[str, Callable[[], object]] = {"unit": reference}
        cases |= steps
        interleaved(cases, warm_up, warm_up=0)
        before = resident_mib()
        times = interleaved(cases, rounds, warm_up=0)
        growth = (resident_mib() / before - 1) * 100
        unit = np.array([times["unit"], reference.milliseconds[warm_up:]])
        return LatencyResult(
            threads=torch.get_num_threads(),
            unit=Timing.of(unit[0]),
            models=tuple(
                _latency(name, first_frame_s[name], steps[name].results[warm_up:], unit)
                for name in configs
            ),
            memory_growth_percent=growth,
        )


def convolution_unit(height: int = 480, width: int = 640) -> Callable[[], object]:
    """Return the work that durations are divided by to compare machines."""
    layer = torch.nn.Conv2d(32, 32, 3, padding=1).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pixels = torch.rand(1, 32, height, width).to(memory_format=torch.channels_last)

    def convolve() -> None:
        threads = torch.get_num_threads()
        torch.set_num_threads(_UNIT_THREADS)
        with torch.inference_mode():
            layer(pixels)
        torch.set_num_threads(threads)

    return convolve


def street_pairs(count: int, url: str = STREET) -> list[FramePair]:
    """Return pairs of a synthetic scene, thermal with 16 bits."""
    sync = Synchronizer(SyncConfig())
    with open_source(url) as source:
        pairs = (pair for frame in source.frames() for pair in sync.push(frame))
        return list(islice(pairs, count))


class _Counted:
    """Some work, with the processor time in milliseconds of every run."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self.milliseconds: list[float] = []

    def __call__(self) -> None:
        start = time.process_time()
        self._work()
        self.milliseconds.append((time.process_time() - start) * 1e3)


class _Steps:
    """Step after step of a pipeline, with the network's, the whole and the processor's time."""

    def __init__(self, pipeline: Pipeline, pairs: Sequence[FramePair]) -> None:
        self._pipeline = pipeline
        self._pairs = pairs
        self.results: list[tuple[float, float, float]] = []

    def __call__(self) -> None:
        pair = self._pairs[len(self.results) % len(self._pairs)]
        start = time.process_time()
        timings = _fused(self._pipeline, pair).timings
        cpu = (time.process_time() - start) * 1e3
        self.results.append((timings["network"], timings["total"], cpu))


def _fused(pipeline: Pipeline, pair: FramePair) -> FusedFrame:
    fused = pipeline.step(pair)
    assert fused is not None, "the synthetic stream has no closed shutter"
    return fused


def _latency(
    name: str, first_frame_s: float, results: Sequence[tuple[float, float, float]], unit: np.ndarray
) -> ModelLatency:
    network, total, cpu = np.array(results, np.float64).T
    return ModelLatency(
        model=name,
        first_frame_s=first_frame_s,
        network=Timing.of(network),
        pipeline=Timing.of(total),
        rest=Timing.of(total - network),
        units=float(np.median(network / unit[0])),
        cpu=Timing.of(cpu),
        cpu_units=float(np.median(cpu / unit[1])),
    )
