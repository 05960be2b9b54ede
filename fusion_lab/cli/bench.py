"""``fusion bench``: measure the budgets on this machine."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

if TYPE_CHECKING:
    from fusion_core.pipeline import Pipeline
    from fusion_core.types import FramePair


@dataclass(frozen=True)
class Bench:
    """Measure latency, start-up and memory of the pipeline on a synthetic 640x480 stream."""

    model: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME")] = ()
    """Models to measure; all that have weights when not given."""
    frames: int = 200
    """Frames measured per model, after a warm-up."""
    threads: int = 0
    """CPU threads; 0 uses all cores."""

    def run(self) -> int:
        """Print one table."""
        import torch

        from fusion_core.models import list_models

        shipped = tuple(model.name for model in list_models() if model.weights_present)
        names = self.model or shipped
        pairs = _pairs(30)
        cores = torch.get_num_threads() if not self.threads else self.threads
        print(f"{platform.processor() or platform.machine()}, {cores} threads, 640x480")
        print(
            f"{'':12s}{'network ms':>24s}{'pipeline ms':>24s}{'without network':>18s}"
            f"{'first frame':>13s}{'RSS drift':>11s}"
        )
        print(
            f"{'':12s}{'p50':>12s}{'p99':>12s}{'p50':>12s}{'p99':>12s}{'p50 ms':>18s}"
            f"{'s':>13s}{'%':>11s}"
        )
        for name in names:
            self._measure(name, pairs)
        return 0

    def _measure(self, name: str, pairs: list[FramePair]) -> None:
        from fusion_core.config import Config
        from fusion_core.pipeline import Pipeline

        start = time.perf_counter()
        config = Config.from_dict({"model": name, "threads": self.threads, "detector": "none"})
        with Pipeline(config) as pipeline:
            pipeline.step(pairs[0])
            first_s = time.perf_counter() - start
            _run(pipeline, pairs, 10)
            before = _resident_mib()
            network, total = _run(pipeline, pairs, self.frames)
            drift = (_resident_mib() / before - 1) * 100
        rest = total - network
        print(
            f"{name:12s}{np.median(network):12.2f}{np.percentile(network, 99):12.2f}"
            f"{np.median(total):12.2f}{np.percentile(total, 99):12.2f}"
            f"{np.median(rest):18.2f}{first_s:13.2f}{drift:11.2f}"
        )


def _pairs(count: int) -> list[FramePair]:
    """Return registered 640x480 pairs of the synthetic street, thermal with 16 bits."""
    from fusion_core.source import open_source
    from fusion_core.sync import SyncConfig, Synchronizer

    sync = Synchronizer(SyncConfig())
    pairs: list[FramePair] = []
    with open_source("synthetic://street?seed=1&registered=1") as source:
        for frame in source.frames():
            pairs += sync.push(frame)
            if len(pairs) >= count:
                break
    return pairs


def _run(pipeline: Pipeline, pairs: list[FramePair], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return milliseconds in the network and in the whole step, per frame."""
    network, total = [], []
    for index in range(count):
        fused = pipeline.step(pairs[index % len(pairs)])
        assert fused is not None, "the synthetic stream has no closed shutter"
        network.append(fused.timings["network"])
        total.append(fused.timings["total"])
    return np.asarray(network), np.asarray(total)


def _resident_mib() -> float:
    """Return the resident memory of this process in MiB (Linux)."""
    with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - not a real file
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
