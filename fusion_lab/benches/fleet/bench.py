"""``fusion bench fleet``: a fleet here and on a cluster that is damaged at work, and its costs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Final

import cv2
import numpy as np
import pyarrow.parquet as pq
import tyro

from fusion_core.errors import FusionError
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.fleet.cluster import LocalCluster, Loss
from fusion_lab.benches.tables import Table
from fusion_lab.fleet.results import present_records
from fusion_lab.fleet.tables import STAGES
from fusion_lab.fleet.unit import UnitRecord

_SIZE: Final = (96, 64)
_TIMES: Final = [f"{stage}_ms" for stage in STAGES]


@dataclass(frozen=True, slots=True)
class FleetFigures:
    """What was found.

    Attributes:
        recordings: Number of recordings.
        frames: Pairs per recording.
        here_s: Duration on this machine.
        cluster_s: Duration on the cluster.
        losses: What was killed in the cluster.
        object_store: What Ray says of the use of its object store at work.
        equal: Recordings with the same pictures and tables from both.
        rows: Rows of the cluster's table of frames.
        doubled: Rows that are there more than once.
        begun: Units begun on the cluster, those begun anew included.
        here: Records of the units on this machine.
        cluster: Records of the units on the cluster.
    """

    recordings: int
    frames: int
    here_s: float
    cluster_s: float
    losses: tuple[Loss, ...]
    object_store: str
    equal: int
    rows: int
    doubled: int
    begun: int
    here: tuple[UnitRecord, ...]
    cluster: tuple[UnitRecord, ...]

    def tables(self) -> Sequence[Table]:
        """Return results, and costs per unit."""
        killed = ", ".join(f"a {loss.what} at {loss.unit}" for loss in self.losses)
        results = (
            ("recordings, each of so many pairs", f"{self.recordings} x {self.frames}"),
            ("killed in the middle of a unit", killed),
            ("recordings equal to the run on this machine", f"{self.equal} of {self.recordings}"),
            ("rows of frames, of them twice", f"{self.rows}, {self.doubled}"),
            ("units begun", str(self.begun)),
            ("object store at work", self.object_store),
            ("duration here, on the cluster (s)", f"{self.here_s:.1f}, {self.cluster_s:.1f}"),
        )
        return (
            Table("Results", ("", "value"), results),
            Table(
                "Costs of a unit, medians",
                ("", "here", "cluster"),
                tuple(
                    (name, _median(pick, self.here), _median(pick, self.cluster))
                    for name, pick in _COSTS.items()
                ),
                digits=3,
            ),
        )


def _median(pick: Callable[[UnitRecord], float], records: Sequence[UnitRecord]) -> float:
    return median(pick(record) for record in records)


_COSTS: Final[Mapping[str, Callable[[UnitRecord], float]]] = {
    "stage (s)": lambda record: float(record.seconds["stage"]),
    "fuse, with opening the models (s)": lambda record: float(record.seconds["fuse"]),
    "publish (s)": lambda record: float(record.seconds["publish"]),
    "inputs (kB)": lambda record: record.input_bytes / 1e3,
    "results (kB)": lambda record: record.result_bytes / 1e3,
    "record that goes back through Ray (kB)": lambda record: len(record.to_json()) / 1e3,
}


@dataclass(frozen=True, kw_only=True)
class FleetBench(BenchCommand):
    """Fuse tiny recordings here and on a Ray cluster of node processes of this machine.

    In the cluster a worker and then a whole node are killed in the middle of their work. Both runs
    must give the same pictures and tables, every recording once.
    """

    recordings: Annotated[int, tyro.conf.arg(metavar="N")] = 30
    """Number of recordings."""
    frames: Annotated[int, tyro.conf.arg(metavar="N")] = 12
    """Pairs of each recording, of 96x64 pixels."""
    nodes: Annotated[int, tyro.conf.arg(metavar="N")] = 3
    """Nodes of the cluster, at least 2."""

    def measure(self) -> FleetFigures:
        """Run the fleet twice and compare.

        Raises:
            FusionError: A run fails, or the cluster does not start.
        """
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            table = _write_fleet(folder / "in", self.recordings, self.frames)
            here, there = folder / "here", folder / "there"
            start = time.perf_counter()
            _ended(_begin(table, here))
            here_s = time.perf_counter() - start
            cluster = stack.enter_context(LocalCluster(self.nodes))
            start = time.perf_counter()
            batch = _begin(table, there, "--cluster", cluster.address)
            stack.callback(batch.kill)
            losses = (cluster.lose_worker(str(there), batch), cluster.lose_node(str(there), batch))
            store = cluster.object_store()
            _ended(batch)
            cluster_s = time.perf_counter() - start
            return self._compared(here, there, losses, store, (here_s, cluster_s))

    def _compared(
        self,
        here: Path,
        there: Path,
        losses: tuple[Loss, ...],
        store: str,
        seconds: tuple[float, float],
    ) -> FleetFigures:
        rows = pq.read_table(there / "frames.parquet", columns=["recording", "frame"])
        distinct = rows.group_by(["recording", "frame"]).aggregate([]).num_rows
        records = [present_records(str(folder)) for folder in (here, there)]
        return FleetFigures(
            recordings=self.recordings,
            frames=self.frames,
            here_s=seconds[0],
            cluster_s=seconds[1],
            losses=losses,
            object_store=store,
            equal=sum(_equal(here / name, there / name) for name in records[0]),
            rows=rows.num_rows,
            doubled=rows.num_rows - distinct,
            begun=sum(record.attempt for record in records[1].values()),
            here=tuple(records[0].values()),
            cluster=tuple(records[1].values()),
        )


def _write_fleet(folder: Path, count: int, frames: int) -> Path:
    """Write recordings as folders of pictures that move, and the table that names them."""
    lines = ["name,visible,thermal"]
    for number in range(count):
        name = f"drive{number:03d}"
        for channel, shape in (("visible", (8, 12, 3)), ("thermal", (8, 12))):
            pictures = folder / name / channel
            pictures.mkdir(parents=True)
            random = np.random.default_rng((number, len(shape)))
            pattern = cv2.resize(random.integers(0, 256, shape, np.uint8), _SIZE)
            for frame in range(frames):
                moved = np.roll(pattern, frame, axis=1)
                cv2.imwrite(str(pictures / f"{frame:04d}.png"), moved)
        lines.append(f"{name},{name}/visible,{name}/thermal")
    table = folder / "fleet.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def _begin(table: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    """Start ``fusion batch`` as a user does."""
    return subprocess.Popen(  # noqa: S603
        [
            *(sys.executable, "-m", "fusion_core.cli.main", "batch", str(table)),
            *("--out", str(out), "--keep", "fused/", "--device", "cpu", "--set", "threads=1"),
            *options,
        ],
        stdout=subprocess.DEVNULL,
        text=True,
    )


def _ended(batch: subprocess.Popen[str]) -> None:
    """Wait for a fleet's end.

    Raises:
        FusionError: It failed.
    """
    if batch.wait() != 0:
        raise FusionError("fusion batch failed; its last line above says why")


def _equal(first: Path, second: Path) -> bool:
    """Tell whether two folders of results hold the same pictures and tables, times left out."""
    pictures = [
        {file.name: file.read_bytes() for file in (folder / "fused").iterdir()}
        for folder in (first, second)
    ]
    frames = [pq.read_table(folder / "frames.parquet").drop(_TIMES) for folder in (first, second)]
    found = [pq.read_table(folder / "detections.parquet") for folder in (first, second)]
    return bool(
        pictures[0] == pictures[1] and frames[0].equals(frames[1]) and found[0].equals(found[1])
    )
