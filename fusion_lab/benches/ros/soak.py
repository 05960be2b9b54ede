"""The bench of endurance of the ROS node: cameras with faults over DDS for minutes or hours."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from fusion_core.cli.settings import Assignments, read_config
from fusion_core.sync import CAUSES
from fusion_core.types import Modality
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.latency import street_pairs
from fusion_lab.benches.ros.bench import (
    PROFILE_VARIABLE,
    await_node,
    node_process,
    require_ros,
    transport_profile,
)
from fusion_lab.benches.soak.bench import SoakSample, drift
from fusion_lab.benches.soak.faults import FaultyCamera, faulty_cameras
from fusion_lab.benches.tables import Table

_PAIR_CAUSES = ("busy", "frozen", "failed", "abandoned")
_SCENE = "synthetic://street?seed=1&registered=1"
_REDUCTION = 4  # the pictures are small: the node's endurance counts, not its speed


@dataclass(frozen=True, slots=True)
class NodeSoakResult:
    """Figures of a run.

    Attributes:
        seconds: Length.
        sent: Images published, by stream.
        faults: Faults begun, by kind, of both cameras.
        results: Fused images received.
        longest_gap_s: Longest time between two of them.
        jump_gap_s: The same around jumps of a clock: from five seconds before to five after.
        drift_mib_h: Slope of the node's resident memory after a warm-up, in MiB per hour.
        counters: Counters of the node's last report, by stream and cause.
        samples: State every few seconds.
        ended: Exit code of a node that ended by itself, None as long as it ran.
    """

    seconds: float
    sent: Mapping[str, int]
    faults: Mapping[str, int]
    results: int
    longest_gap_s: float
    jump_gap_s: float
    drift_mib_h: float
    counters: Mapping[str, int]
    samples: tuple[SoakSample, ...]
    ended: int | None

    def waiting(self) -> dict[str, int]:
        """Return the frames and pairs that no counter explains: those that still wait."""
        counted = self.counters
        waiting = {"pairs": counted.get("pairs", 0) - counted.get("fused", 0)}
        waiting["pairs"] -= sum(counted.get(f"dropped {cause}", 0) for cause in _PAIR_CAUSES)
        for stream in ("visible", "thermal"):
            lost = sum(counted.get(f"{stream} dropped {cause}", 0) for cause in CAUSES)
            read, used = (counted.get(f"{stream} {key}", 0) for key in ("read", "used"))
            waiting[stream] = read - used - lost
        return waiting

    def tables(self) -> Sequence[Table]:
        """Return the figures and the faults."""
        first, last = self.samples[len(self.samples) // 5], self.samples[-1]
        waiting = ", ".join(f"{name} {count}" for name, count in self.waiting().items())
        rows: tuple[tuple[str, str | int | float], ...] = (
            ("minutes", self.seconds / 60),
            ("images sent", sum(self.sent.values())),
            ("results", self.results),
            ("faults", sum(self.faults.values())),
            ("longest gap between results, s", self.longest_gap_s),
            ("longest gap at a jump of a clock, s", self.jump_gap_s),
            ("memory of the node after warm-up, MiB", first.memory_mib),
            ("memory at the end, MiB", last.memory_mib),
            ("drift, MiB per hour", self.drift_mib_h),
            ("in no counter (waiting)", waiting),
            ("node", "runs" if self.ended is None else f"ended with {self.ended}"),
        )
        faults = tuple((name, count) for name, count in sorted(self.faults.items()))
        return [
            Table("Cameras with faults over DDS", ("figure", "value"), rows, digits=1),
            Table("Faults", ("kind", "times"), faults),
        ]


@dataclass(frozen=True, kw_only=True)
class RosSoakBench(BenchCommand):
    """Run the node on two cameras over DDS that drop, jump, freeze, vanish and send rubbish.

    The faults are random with a fixed seed; a camera that reconnects withdraws its topic meanwhile.
    Needs rclpy.
    """

    minutes: Annotated[float, tyro.conf.arg(metavar="M")] = 60.0
    """Length of the run."""
    rate: Annotated[float, tyro.conf.arg(metavar="HZ")] = 5.0
    """Frames per second of each camera."""
    chance: Annotated[float, tyro.conf.arg(metavar="P")] = 0.02
    """Probability that a frame begins a fault."""
    seed: int = 0
    """Seed of the faults."""
    model: str = "m2pn-edge"
    """The model."""
    settings: Assignments = ()
    """Any other setting of the node, as its parameter."""

    def measure(self) -> NodeSoakResult:
        """Run for the given time."""
        cameras = faulty_cameras(street_pairs(16, _SCENE), self.rate, self.chance, self.seed)
        with tempfile.TemporaryDirectory() as folder:
            bank = f"memory.file={Path(folder) / 'bank'}"
            settings = (bank, "memory.save_every_s=10.0", *self.settings)
            return soak_node(cameras, self.rate, 60 * self.minutes, self.model, settings)


def soak_node(
    cameras: Mapping[Modality, FaultyCamera],
    rate_hz: float,
    seconds: float,
    model: str = "m2pn-edge",
    settings: Sequence[str] = (),
) -> NodeSoakResult:
    """Run the node between faulty cameras and a receiver.

    Raises:
        ConfigError: A key or a value is wrong.
        MissingExtraError: There is no rclpy, or the node's package is not found.
        FusionError: The node does not start.
    """
    require_ros("ros-soak")
    read_config(None, {}, settings)
    os.environ.setdefault(PROFILE_VARIABLE, str(transport_profile()))
    from fusion_lab.benches.ros.faulty_cameras import faulty_ros_cameras

    with (
        faulty_ros_cameras(cameras, rate_hz, _REDUCTION) as robot,
        node_process(model, settings) as process,
    ):
        await_node(lambda: robot.is_connected, process, model)
        robot.run(seconds, process)
        return NodeSoakResult(
            seconds=seconds,
            sent=dict(robot.sent),
            faults=robot.faults(),
            results=robot.results,
            longest_gap_s=robot.longest_gap_s,
            jump_gap_s=robot.jump_gap_s(),
            drift_mib_h=drift(robot.samples),
            counters=robot.counters(),
            samples=tuple(robot.samples),
            ended=process.poll(),
        )
