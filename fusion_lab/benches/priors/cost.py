"""What the provider costs, and what a slow provider does to the frame path."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from fusion_core.models import load_model
from fusion_core.priors import Assessment, PriorScheduler, PriorsConfig
from fusion_core.priors.change import ChangeDetector
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.types import AlignedPair, FloatImage, UInt8Image
from fusion_lab.benches.networks import pair_fuser
from fusion_lab.benches.tables import Table
from fusion_lab.benches.timing import Timing, interleaved
from fusion_lab.data import aligned_pair
from fusion_lab.synthetic import SyntheticScene

_RATE_HZ, _TURN, _WARM_UP = 30, 30, 60
_CHANGE_THRESHOLD, _CHANGE_CONFIRM = 0.1, 5


@dataclass(frozen=True, slots=True)
class RefreshFigures:
    """The frame path with and without refreshes, in turns of one second.

    Attributes:
        refreshes: Number of finished refreshes.
        without: Without.
        during: With a refresh every second by a provider that takes two.
    """

    refreshes: int
    without: Timing
    during: Timing

    def table(self) -> Table:
        """Return one row per kind of turn."""
        rows = tuple(
            (name, timing.median, timing.p99, timing.count)
            for name, timing in (("without", self.without), ("with", self.during))
        )
        title = f"Frame path with refreshes by a slow provider, {self.refreshes} refreshes"
        return Table(title, ("refreshes", "p50 ms", "p99", "frames"), rows)


class DelayedProvider(EmbeddedProvider):
    """The embedded provider as if it took longer.

    Args:
        delay_s: Seconds added to every assessment.
    """

    def __init__(self, delay_s: float = 2.0) -> None:
        super().__init__()
        self._delay_s = delay_s

    def assess(self, visible: UInt8Image | None, thermal: FloatImage | None) -> Assessment:
        """Assess one pair, then wait."""
        found = super().assess(visible, thermal)
        time.sleep(self._delay_s)
        return found


def street_pair() -> AlignedPair:
    """Return one registered pair of the synthetic day, 640x480."""
    scene = SyntheticScene.from_url("synthetic://day?seed=3&seconds=0.1&registered=1")
    found = {frame.modality: frame for frame in scene.frames()}
    counts = found["thermal"].image.astype(np.float32)
    pair = aligned_pair(found["visible"].image, np.zeros(counts.shape, np.uint8))
    return replace(pair, thermal=(counts - counts.min()) / np.ptp(counts))


def measure_cost(pair: AlignedPair, calls: int = 60, observations: int = 500) -> dict[str, Timing]:
    """Return process time of one assessment and of one frame of the scene-change detector."""
    provider = EmbeddedProvider()
    detector = ChangeDetector(_CHANGE_THRESHOLD, _CHANGE_CONFIRM)
    cases: tuple[tuple[str, int, Callable[[], object]], ...] = (
        ("provider, both pictures", calls, lambda: provider.assess(pair.visible, pair.thermal)),
        ("scene-change detector", observations, lambda: detector.observe(pair)),
    )
    with one_torch_thread():
        return {
            name: Timing.of(interleaved({name: work}, rounds, clock=time.process_time)[name])
            for name, rounds, work in cases
        }


def cost_table(times: Mapping[str, Timing]) -> Table:
    """Return one row per part."""
    rows = tuple((name, timing.least, timing.median) for name, timing in times.items())
    return Table("640x480, process time, one thread", ("part", "least ms", "median"), rows, 3)


def measure_refresh(
    pair: AlignedPair, frames: int = 600, delay_s: float = 2.0, model: str = "m2pn-edge"
) -> RefreshFigures:
    """Fuse at 30 Hz, every other second beside a scheduler that refreshes every second.

    Args:
        pair: What every frame shows.
        frames: Number of frames; the first 60 do not count.
        delay_s: Seconds that the provider takes.
        model: Network that fuses.
    """
    fuse = pair_fuser(load_model(model), with_prior=False)
    times: dict[bool, list[float]] = {False: [], True: []}
    with (
        one_torch_thread(),
        PriorScheduler(DelayedProvider(delay_s), PriorsConfig(refresh_s=1.0)) as scheduler,
    ):
        for index in range(frames):
            refreshing = bool(index // _TURN % 2)
            now = replace(pair, stamp_ns=round(index * 1e9 / _RATE_HZ))
            start = time.perf_counter()
            if refreshing:
                scheduler.update(now, wait=False)
                scheduler.health()
            fuse(now, None)
            taken = time.perf_counter() - start
            time.sleep(max(0.0, 1 / _RATE_HZ - taken))
            if index >= _WARM_UP:
                times[refreshing].append(taken * 1e3)
        refreshes = int(scheduler.status()["refreshes"])
    return RefreshFigures(refreshes, Timing.of(times[False]), Timing.of(times[True]))


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Let networks run in the calling thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
