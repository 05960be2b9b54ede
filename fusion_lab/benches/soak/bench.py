"""The bench of endurance: live cameras with faults for minutes or hours."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import tyro

from fusion_core.cli.settings import Assignments
from fusion_core.config import Config
from fusion_core.pipeline import Pipeline, PipelineStatus
from fusion_core.sync import CAUSES
from fusion_core.types import FusedFrame, Modality
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.configuration import bench_config
from fusion_lab.benches.latency import street_pairs
from fusion_lab.benches.machine import resident_mib
from fusion_lab.benches.soak.faults import FaultyCamera, faulty_cameras
from fusion_lab.benches.tables import Table

_PAIR_CAUSES: Final = ("busy", "frozen", "failed", "abandoned")
_WARM_UP: Final = 0.2  # share of the samples before memory counts: caches and pools fill
_SCENE: Final = "synthetic://street?seed=1&registered=1"


@dataclass(frozen=True, slots=True)
class SoakSample:
    """State at one moment.

    Attributes:
        elapsed_s: Seconds since the start.
        memory_mib: Resident memory of this process.
        fused: Results so far.
        total_p99_ms: 99th percentile of the latest latencies of a frame; nan before the first.
    """

    elapsed_s: float
    memory_mib: float
    fused: int
    total_p99_ms: float


@dataclass(frozen=True, slots=True)
class SoakResult:
    """Figures of a run.

    Attributes:
        seconds: Length.
        submitted: Frames handed to the pipeline, by stream.
        faults: Faults begun, by kind, of both cameras.
        fused: Results.
        drops: Frames and pairs without a result, by cause.
        longest_gap_s: Longest time between two results.
        not_finite: Results with an unusable picture or number.
        unaccounted: Sums that do not agree, by name; empty when all counters add up.
        drift_mib_h: Slope of the resident memory after a warm-up, in MiB per hour.
        samples: State every few seconds.
        last_error: Newest error that did not end the stream.
    """

    seconds: float
    submitted: Mapping[str, int]
    faults: Mapping[str, int]
    fused: int
    drops: Mapping[str, int]
    longest_gap_s: float
    not_finite: int
    unaccounted: Mapping[str, int]
    drift_mib_h: float
    samples: tuple[SoakSample, ...]
    last_error: str

    def tables(self) -> Sequence[Table]:
        """Return the figures, the faults and the drops."""
        first, last = self.samples[int(_WARM_UP * len(self.samples))], self.samples[-1]
        sums = ", ".join(f"{name}: {off:+d}" for name, off in self.unaccounted.items())
        rows: tuple[tuple[str, str | int | float], ...] = (
            ("minutes", self.seconds / 60),
            ("frames submitted", sum(self.submitted.values())),
            ("results", self.fused),
            ("faults", sum(self.faults.values())),
            ("longest gap between results, s", self.longest_gap_s),
            ("results that are not finite", self.not_finite),
            ("memory after warm-up, MiB", first.memory_mib),
            ("memory at the end, MiB", last.memory_mib),
            ("drift, MiB per hour", self.drift_mib_h),
            ("p99 of a frame after warm-up, ms", first.total_p99_ms),
            ("p99 of a frame at the end, ms", last.total_p99_ms),
            ("counters", sums or "add up"),
            ("last error", self.last_error or "none"),
        )
        faults = tuple((name, count) for name, count in sorted(self.faults.items()))
        drops = tuple((name, count) for name, count in sorted(self.drops.items()))
        return [
            Table("Live cameras with faults", ("figure", "value"), rows, digits=1),
            Table("Faults", ("kind", "times"), faults),
            Table("Without a result", ("cause", "frames or pairs"), drops),
        ]


@dataclass(frozen=True, kw_only=True)
class SoakBench(BenchCommand):
    """Run the live pipeline on two cameras that drop, jump, freeze and send rubbish.

    The faults are random with a fixed seed. Shown are the memory's drift, the longest gap, and
    whether every frame is accounted for at the end.
    """

    minutes: Annotated[float, tyro.conf.arg(metavar="M")] = 60.0
    """Length of the run."""
    rate: Annotated[float, tyro.conf.arg(metavar="HZ")] = 15.0
    """Frames per second of each camera."""
    chance: Annotated[float, tyro.conf.arg(metavar="P")] = 0.02
    """Probability that a frame begins a fault."""
    seed: int = 0
    """Seed of the faults."""
    model: str = "m2pn-edge"
    """The model."""
    settings: Assignments = ()
    """Any other setting of the pipeline."""

    def measure(self) -> SoakResult:
        """Run for the given time."""
        with tempfile.TemporaryDirectory() as folder:
            file = str(Path(folder) / "bank")
            defaults = {"memory.file": file, "memory.save_every_s": "10"}
            config = bench_config(self.settings, self.model, **defaults)
            cameras = faulty_cameras(street_pairs(16, _SCENE), self.rate, self.chance, self.seed)
            return run_soak(config, cameras, self.rate, 60 * self.minutes)


@dataclass
class ResultWatch:
    """What the results show, counted in the pipeline's thread.

    Attributes:
        not_finite: Results with an unusable picture or number.
        longest_gap_s: Longest time between two results.
    """

    not_finite: int = 0
    longest_gap_s: float = 0.0
    _last: float = field(default_factory=time.monotonic)

    def __call__(self, fused: FusedFrame) -> None:
        """Check one result."""
        now = time.monotonic()
        self.longest_gap_s = max(self.longest_gap_s, now - self._last)
        self._last = now
        numbers = [*fused.timings.values(), fused.aligned.confidence]
        numbers += [] if fused.quality is None else [fused.quality]
        numbers += [value for found in fused.detections for value in (found.score, *found.box)]
        usable = fused.image.dtype == np.uint8 and fused.image.ndim == 3
        self.not_finite += not (usable and np.isfinite(numbers).all())


def run_soak(
    config: Config,
    cameras: Mapping[Modality, FaultyCamera],
    rate_hz: float,
    seconds: float,
    period_s: float = 5.0,
) -> SoakResult:
    """Run a live pipeline on faulty cameras.

    Args:
        config: Of the pipeline.
        cameras: Both cameras.
        rate_hz: Frames per second of each.
        seconds: How long.
        period_s: Seconds between two samples of the memory.
    """
    submitted: Counter[str] = Counter()
    watch, samples = ResultWatch(), list[SoakSample]()
    with Pipeline(config) as pipeline:
        pipeline.warm_up()
        pipeline.start(watch)
        start = time.monotonic()
        for number in range(max(1, round(seconds * rate_hz))):
            time.sleep(max(0.0, start + number / rate_hz - time.monotonic()))
            for camera in cameras.values():
                _submit(pipeline, camera, submitted)
            elapsed_s = time.monotonic() - start
            if elapsed_s >= len(samples) * period_s:
                samples.append(_sample(pipeline.status(), elapsed_s))
            if elapsed_s > seconds:
                break
        elapsed_s = time.monotonic() - start
    status = pipeline.status()
    samples.append(_sample(status, elapsed_s))
    return SoakResult(
        seconds=elapsed_s,
        submitted=dict(submitted),
        faults=dict(sum((camera.faults for camera in cameras.values()), Counter())),
        fused=status.fused,
        drops=dict(status.drops),
        longest_gap_s=watch.longest_gap_s,
        not_finite=watch.not_finite,
        unaccounted=unaccounted(status, submitted),
        drift_mib_h=drift(samples),
        samples=tuple(samples),
        last_error=status.last_error,
    )


def unaccounted(status: PipelineStatus, submitted: Mapping[str, int]) -> dict[str, int]:
    """Return the sums of a closed pipeline that do not agree, as what is too much or missing."""
    off = {"pairs": status.pairs - status.fused}
    off["pairs"] -= sum(status.drops.get(cause, 0) for cause in _PAIR_CAUSES)
    for name, dropped in status.drops_by_stream.items():
        off[f"{name} submitted"] = status.read[name] - submitted.get(name, 0)
        lost = sum(dropped.get(cause, 0) for cause in CAUSES)
        off[f"{name} read"] = status.read[name] - status.used[name] - lost
    return {name: value for name, value in off.items() if value}


def drift(samples: Sequence[SoakSample]) -> float:
    """Return the slope of the memory in MiB per hour; nan with less than three samples."""
    counted = samples[int(_WARM_UP * len(samples)) :]
    if len(counted) < 3:
        return float("nan")
    hours = [sample.elapsed_s / 3600 for sample in counted]
    return float(np.polyfit(hours, [sample.memory_mib for sample in counted], 1)[0])


def _submit(pipeline: Pipeline, camera: FaultyCamera, submitted: Counter[str]) -> None:
    for event in camera.next_events():
        if event.frame is None:
            pipeline.count_invalid(event.modality, "unknown_encoding")
        else:
            submitted[event.modality] += 1
            pipeline.submit(event.frame)


def _sample(status: PipelineStatus, elapsed_s: float) -> SoakSample:
    p99 = status.latency_ms.get("total", {}).get("p99", float("nan"))
    return SoakSample(elapsed_s, resident_mib(), status.fused, p99)
