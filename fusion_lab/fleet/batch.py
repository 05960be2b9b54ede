"""A whole fleet: plan, work, tables, page."""

from __future__ import annotations

import json
import posixpath
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Protocol

from tqdm import tqdm

from fusion_core.cli.stop_signal import StopSignal
from fusion_core.errors import FusionError
from fusion_lab.fleet.merging import merge_tables
from fusion_lab.fleet.page import fleet_page
from fusion_lab.fleet.places import file_system, write_whole
from fusion_lab.fleet.plan import Plan
from fusion_lab.fleet.totals import FleetTotals
from fusion_lab.fleet.unit import Unit, UnitRecord


class Workers(Protocol):
    """What does units: this machine or a cluster."""

    def run(self, units: Sequence[Unit]) -> Generator[UnitRecord, None, None]:
        """Yield the record of each unit as it ends."""

    def close(self) -> None:
        """End what still runs."""


@dataclass(frozen=True, slots=True)
class FleetResult:
    """What became of a fleet.

    Attributes:
        records: One per recording, by name; those that were not reached are missing.
        planned: Number of recordings.
        skipped: How many were done before.
        seconds: Duration of the work.
        stopped: Whether a signal ended it.
    """

    records: tuple[UnitRecord, ...]
    planned: int
    skipped: int
    seconds: float
    stopped: bool

    @property
    def failed(self) -> tuple[UnitRecord, ...]:
        """Records of the recordings that failed."""
        return tuple(record for record in self.records if record.state != "done")


def run_fleet(plan: Plan, workers: Workers, out: str) -> FleetResult:
    """Do what is to be done, then write the tables and the page of all that is there.

    A signal, or the loss of the cluster, ends the work; what is done stays, and the tables and the
    page are written of it.

    Args:
        plan: What is to be done.
        workers: What does it; closed at the end.
        out: Address of the fleet's folder.

    Raises:
        FusionError: The connection to the cluster is lost.
    """
    start = time.perf_counter()
    records = {record.name: record for record in (*plan.finished, *plan.unreadable)}
    lost: FusionError | None = None
    with StopSignal() as stop, closing(workers):
        try:
            with stop.interruptible(), closing(_progress(plan, workers)) as ended:
                for record in ended:
                    records[record.name] = record
        except KeyboardInterrupt:
            workers.close()
        except FusionError as error:
            lost = error
    ordered = tuple(records[name] for name in sorted(records))
    seconds = time.perf_counter() - start
    result = FleetResult(ordered, plan.total, len(plan.finished), seconds, stop.requested)
    _conclude(result, out)
    if lost is not None:
        raise lost
    return result


def _progress(plan: Plan, workers: Workers) -> Generator[UnitRecord, None, None]:
    """Yield records as they come, under a bar with the time left."""
    before = len(plan.finished) + len(plan.unreadable)
    failed = len(plan.unreadable)
    # The mean rate since the start: with several workers the latest pace says little.
    bar = tqdm(
        total=plan.total,
        initial=before,
        unit="recording",
        desc="fleet",
        smoothing=0,
        dynamic_ncols=True,
    )
    with bar, closing(workers.run(plan.units)) as ended:
        for record in ended:
            failed += record.state != "done"
            bar.set_postfix({"failed": failed} if failed else {}, refresh=False)
            bar.update()
            yield record


def _conclude(result: FleetResult, out: str) -> None:
    """Write the tables, ``fleet.json`` and the page."""
    done = [record for record in result.records if record.state == "done"]
    totals = FleetTotals()
    merge_tables(out, done, totals)
    system, path = file_system(out)
    listed = {
        "planned": result.planned,
        "skipped": result.skipped,
        "seconds": round(result.seconds, 3),
        "recordings": [asdict(record) for record in result.records],
    }
    text = json.dumps(listed, indent=1) + "\n"
    write_whole(system, posixpath.join(path, "fleet.json"), text.encode())
    page = fleet_page(result.records, result.planned, totals, out)
    write_whole(system, posixpath.join(path, "fleet.html"), page.encode())
