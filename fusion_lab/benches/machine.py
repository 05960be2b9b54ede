"""The machine that figures come from, and how busy it was with other work."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_STATUS = Path("/proc/self/status")

Load = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Machine:
    """Where and under which load figures were measured.

    Attributes:
        processor: Name of the processor.
        cores: Cores that this process may use.
        load_before: Mean number of running processes over 1, 5 and 15 minutes, before the run.
        load_after: The same after it; the run's own threads are part of it.
    """

    processor: str
    cores: int
    load_before: Load
    load_after: Load

    def __str__(self) -> str:
        before, after = (
            " ".join(f"{value:.2f}" for value in load)
            for load in (self.load_before, self.load_after)
        )
        return f"{self.processor}, {self.cores} cores; load before {before}, after {after}"


def describe_machine(load_before: Load) -> Machine:
    """Return the machine after a run that began under ``load_before``."""
    return Machine(_processor(), len(os.sched_getaffinity(0)), load_before, os.getloadavg())


def resident_mib(pid: int | None = None) -> float:
    """Return the resident memory of a process, this one without a number, in MiB."""
    status = _STATUS if pid is None else Path(f"/proc/{pid}/status")
    lines = status.read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def _processor() -> str:
    """Return the processor's name as Linux gives it."""
    lines = _CPUINFO.read_text(encoding="utf-8").splitlines() if _CPUINFO.is_file() else []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()
