"""What it costs to run the networks on a server instead of in the same process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import tyro

from fusion_core.cli.settings import Assignments
from fusion_core.config import Config
from fusion_core.engine import EngineConfig
from fusion_core.errors import EngineError
from fusion_core.pipeline import Pipeline
from fusion_core.types import FramePair
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.configuration import bench_config
from fusion_lab.benches.latency import street_pairs
from fusion_lab.benches.tables import Table
from fusion_lab.benches.timing import Timing, interleaved

_WARM_UP: Final = 10
_END_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class RemoteResult:
    """Figures of a run.

    Attributes:
        model: The network.
        bind: Where the server listened.
        local: Fusing a pair in this process: all of it, and without the network's own time.
        remote: Fusing a pair on a server: all of it, and without the network's own time there.
        hop: Remote minus local, both without the network's own time, round by round.
    """

    model: str
    bind: str
    local: tuple[Timing, Timing]
    remote: tuple[Timing, Timing]
    hop: Timing

    def tables(self) -> Sequence[Table]:
        """Return one row each for here, there and the difference."""
        rows = tuple(
            (name, whole.median, whole.p99, rest.least, rest.median, rest.p99)
            for name, (whole, rest) in (("local", self.local), ("remote", self.remote))
        )
        head = ("engine", "fusion p50 ms", "p99", "without network least ms", "p50", "p99")
        title = f"{self.model}, 640x480, {self.hop.count} rounds in turns, server at {self.bind}"
        quiet = self.remote[1].least - self.local[1].least
        hop = ((quiet, self.hop.median, self.hop.p99),)
        return [
            Table(title, head, rows),
            Table(
                "Hop: remote minus local, without network",
                ("of the least ms", "p50 ms", "p99 ms"),
                hop,
            ),
        ]


@dataclass(frozen=True, kw_only=True)
class RemoteBench(BenchCommand):
    """Measure the hop to a server: remote minus local, at 640x480.

    Both fuse the same pairs in turns. The network's own time is taken out on both sides, as it is
    the larger part and differs by itself from run to run; what remains of the difference is
    packing, sending, waking up the other process, and the way back.
    """

    bind: Annotated[str, tyro.conf.arg(metavar="ENDPOINT")] = ""
    """Where the server listens; an ipc socket in a temporary folder when not given."""
    model: Annotated[str, tyro.conf.arg(metavar="NAME")] = "m2pn-edge"
    """The network."""
    frames: int = 200
    """Frames measured per side, after a warm-up."""
    settings: Assignments = ()
    """Any other setting of the pipelines; detector and prior are none when not given."""

    def measure(self) -> RemoteResult:
        """Start a server, fuse in turns, and end it."""
        config = bench_config(self.settings, self.model, detector="none", prior="none")
        pairs = street_pairs(30)
        with tempfile.TemporaryDirectory() as folder:
            bind = self.bind or f"ipc://{folder}/engine"
            with serving_process(bind, Path(folder) / "server.log"):
                return measure_hop(config, bind, pairs, self.frames)


def measure_hop(
    config: Config, bind: str, pairs: Sequence[FramePair], rounds: int, warm_up: int = _WARM_UP
) -> RemoteResult:
    """Fuse pairs here and on a server in turns.

    Args:
        config: Configuration of both.
        bind: Address of a server.
        pairs: Pairs with both sides, taken round and round.
        rounds: Pairs per side that count.
        warm_up: Pairs before them.
    """
    there = replace(config, engine=EngineConfig(endpoint=bind))
    with ExitStack() as stack:
        pipelines = {
            name: stack.enter_context(Pipeline(each))
            for name, each in (("local", config), ("remote", there))
        }
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in pipelines}
        cases = {name: _step(pipelines[name], pairs, times[name]) for name in pipelines}
        interleaved(cases, rounds, warm_up=warm_up)
    whole = {name: np.array(taken[warm_up:])[:, 0] for name, taken in times.items()}
    rest = {name: whole[name] - np.array(taken[warm_up:])[:, 1] for name, taken in times.items()}
    return RemoteResult(
        model=config.model,
        bind=bind,
        local=(Timing.of(whole["local"]), Timing.of(rest["local"])),
        remote=(Timing.of(whole["remote"]), Timing.of(rest["remote"])),
        hop=Timing.of(rest["remote"] - rest["local"]),
    )


def _step(
    pipeline: Pipeline, pairs: Sequence[FramePair], times: list[tuple[float, float]]
) -> Callable[[], object]:
    """Return what fuses the next pair and notes the time of fusion and of the network in it."""

    def step() -> None:
        fused = pipeline.step(pairs[len(times) % len(pairs)])
        assert fused is not None, "the synthetic stream has no closed shutter"
        assert fused.quality is not None, "the network has fused it"
        times.append((fused.timings["fusion"], fused.timings["network"]))

    return step


@contextmanager
def serving_process(bind: str, log: Path) -> Iterator[None]:
    """Run `fusion serve` for the time of the block."""
    command = [sys.executable, "-m", "fusion_core.cli.main", "serve", "--bind", bind]
    with (
        log.open("w+") as text,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=text) as process,  # noqa: S603
    ):
        try:
            assert process.stdout is not None, "as asked for"
            if not process.stdout.readline():
                text.seek(0)
                raise EngineError(f"the server has ended: {text.read().strip()}")
            yield
        finally:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
