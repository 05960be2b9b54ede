"""What every bench has in common: options, tables on screen, figures as JSON."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

import tyro

from fusion_lab.benches.machine import describe_machine
from fusion_lab.benches.registry import bench_name
from fusion_lab.benches.tables import Table, plain
from fusion_lab.evaluation import write_json


class BenchResult(Protocol):
    """A frozen dataclass of figures."""

    def tables(self) -> Sequence[Table]:
        """Return the figures as tables."""


@dataclass(frozen=True, kw_only=True)
class BenchCommand(ABC):
    """Options of every bench."""

    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE.json")] = None
    """Write the figures as JSON as well: {"bench", "machine", "result"}."""

    @abstractmethod
    def measure(self) -> BenchResult:
        """Run the bench."""

    def run(self) -> int:
        """Run the bench, print its tables and write its figures."""
        load = os.getloadavg()
        result = self.measure()
        machine = describe_machine(load)
        for table in result.tables():
            print(table.markdown())
        print(f"\n{machine}")
        if self.out:
            figures = {"machine": plain(machine), "result": plain(result)}
            write_json(self.out, {"bench": bench_name(type(self)), **figures})
        return 0
