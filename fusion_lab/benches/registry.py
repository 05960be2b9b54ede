"""The benches by name. Listing them imports none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

from fusion_core.errors import UsageError

if TYPE_CHECKING:
    from fusion_lab.benches.command import BenchCommand

DEFAULT_BENCH: Final = "latency"


@dataclass(frozen=True, slots=True)
class BenchEntry:
    """Where a bench is defined.

    Attributes:
        module: Module below ``fusion_lab.benches``.
        command: Name of its subclass of ``BenchCommand``.
        summary: One line for the list of benches.
    """

    module: str
    command: str
    summary: str


BENCHES: Final[Mapping[str, BenchEntry]] = {
    "latency": BenchEntry(
        "latency", "LatencyBench", "latency, start-up and memory of the pipeline, per model"
    ),
    "engines": BenchEntry(
        "engines", "EnginesBench", "PyTorch, ONNX Runtime and OpenVINO beside each other"
    ),
    "gpu": BenchEntry(
        "gpu", "GpuBench", "every model on a GPU against the CPU, and how fast it is there"
    ),
    "ros": BenchEntry(
        "ros.bench", "RosBench", "latency and delivery from cameras to fused image over DDS"
    ),
    "live": BenchEntry(
        "live", "LiveBench", "delivery, lateness and age of detections of a run on live videos"
    ),
    "recorded": BenchEntry(
        "recorded", "RecordedBench", "time a frame of recorded runs, by size and load, and memory"
    ),
    "ros-soak": BenchEntry(
        "ros.soak", "RosSoakBench", "memory, gaps and counters of the node with faulty cameras"
    ),
    "soak": BenchEntry(
        "soak.bench", "SoakBench", "memory, gaps and counters of a live run with faulty cameras"
    ),
    "detector": BenchEntry(
        "detector.bench", "DetectorBench", "what a detector finds with both cameras and with one"
    ),
    "tracking": BenchEntry(
        "tracking.bench", "TrackingBench", "how well identities hold, beside other trackers"
    ),
    "ctrlfuse": BenchEntry(
        "ctrlfuse.bench", "CtrlFuseBench", "what a mask does to the fused picture"
    ),
    "priors": BenchEntry(
        "priors.bench", "PriorsBench", "accuracy, calibration and cost of the prior provider"
    ),
    "registration": BenchEntry(
        "registration.bench", "RegistrationBench", "errors and cost of registration, on recordings"
    ),
    "restoring": BenchEntry(
        "restoring.bench", "RestoringBench", "restoring while fusing against fusing alone"
    ),
    "wishing": BenchEntry(
        "wishing.bench", "WishingBench", "fusing and restoring as a sentence asks, and otherwise"
    ),
    "switching": BenchEntry(
        "switching", "SwitchingBench", "when model `auto` changes networks, and what that shows"
    ),
    "adapters": BenchEntry(
        "adapters", "AdaptersBench", "variants of tcmoa's adapters under one small budget"
    ),
    "bank": BenchEntry(
        "bank", "BankBench", "what following a stream does to the memory bank's pictures"
    ),
    "recall": BenchEntry(
        "recall", "RecallBench", "what the scene memory shows of a background that smoke hides"
    ),
    "fleet": BenchEntry(
        "fleet.bench", "FleetBench", "a fleet on a Ray cluster that loses a worker and a node"
    ),
    "remote": BenchEntry(
        "remote", "RemoteBench", "what running the networks on a server costs per frame"
    ),
    "mechanisms": BenchEntry(
        "mechanisms.bench", "MechanismsBench", "what each part of a network does to its picture"
    ),
    "tasks": BenchEntry(
        "tasks",
        "TasksBench",
        "pairs of each task, beside classical and published methods",
    ),
    "codecs": BenchEntry(
        "codecs", "CodecsBench", "what codecs keep of pictures, and how long they take"
    ),
    "texts": BenchEntry(
        "texts", "TextsBench", "what the embedded text encoder understands of sentences"
    ),
    "ablations": BenchEntry(
        "ablations", "AblationsBench", "networks that were trained with a part taken out"
    ),
}


def load_bench(name: str) -> type[BenchCommand]:
    """Import a bench and return its options.

    Raises:
        UsageError: There is no bench of this name.
    """
    if name not in BENCHES:
        raise UsageError(f"{name!r}: no such bench; known benches: {', '.join(BENCHES)}")
    entry = BENCHES[name]
    command: type[BenchCommand] = getattr(
        import_module(f"fusion_lab.benches.{entry.module}"), entry.command
    )
    return command


def bench_name(command: type[BenchCommand]) -> str:
    """Return the name of a bench by its options."""
    return next(name for name, entry in BENCHES.items() if entry.command == command.__name__)
