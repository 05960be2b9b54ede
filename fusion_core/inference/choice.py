"""Which kind of engine runs a network fastest here: measured once, then remembered."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from fusion_core.runtime.cache import cache_folder
from fusion_core.runtime.files import write_atomic

_log = logging.getLogger(__name__)
_ROUNDS: Final = 7
_PATIENCE_S: Final = 1.5  # no further round after this time
_EQUAL: Final = 1.1  # this much slower than the fastest counts as equally fast
_PACKAGES: Final = ("fusion-core", "torch", "openvino", "onnxruntime", "onnxruntime-gpu")


@dataclass(frozen=True, slots=True)
class Choice:
    """A measurement and what it says.

    Attributes:
        kind: The kind of engine to take.
        milliseconds: Kind -> shortest time of one pair: what other work on the machine adds is left
            out.
        refused: Kind -> why it could not be measured.
    """

    kind: str
    milliseconds: Mapping[str, float]
    refused: Mapping[str, str] = field(default_factory=dict)

    def reason(self) -> str:
        """Return the choice in words."""
        times = ", ".join(f"{kind} {time:.1f}" for kind, time in self.milliseconds.items())
        return f"ms a pair when it was measured: {times}"


def machine(**what: object) -> dict[str, Any]:
    """Return what a measurement depends on.

    Args:
        what: Model, weights, size of the pictures, threads and device.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    packages = {name: _version(name) for name in _PACKAGES}
    return {**what, "cpu": _cpu_name(), "cores": cores, "packages": packages}


def kept_choice(key: Mapping[str, Any], kinds: tuple[str, ...]) -> Choice | None:
    """Return the choice that was kept for a machine; a damaged file counts as none.

    Args:
        key: Of :func:`machine`.
        kinds: Kinds that can run the network now.
    """
    try:
        kept = json.loads(_file(key).read_text(encoding="utf-8"))
        times = {str(kind): float(value) for kind, value in kept["milliseconds"].items()}
        refused = {str(kind): str(reason) for kind, reason in kept["refused"].items()}
        choice = Choice(str(kept["kind"]), times, refused)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    # What could run it then and cannot now, or the other way round, asks for a new measurement.
    tried = times.keys() | refused.keys()
    return choice if choice.kind in times and tried == set(kinds) else None


def measure(
    key: Mapping[str, Any],
    runs: Mapping[str, Callable[[], object]],
    refused: Mapping[str, str] | None = None,
) -> Choice:
    """Run all kinds in turns, keep the shortest times, and return the fastest.

    Of kinds that are equally fast the first is taken.

    Args:
        key: Of :func:`machine`.
        runs: Kind -> runs the network once; in the order of preference.
        refused: Kind -> why it cannot be measured; kept with the choice.
    """
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {kind: [] for kind in runs}
    end = time.perf_counter() + _PATIENCE_S
    for number in range(_ROUNDS):
        if number and time.perf_counter() > end:
            break
        for kind, run in runs.items():
            start = time.perf_counter()
            run()
            times[kind].append((time.perf_counter() - start) * 1e3)
    least = {kind: round(min(found), 2) for kind, found in times.items()}
    limit = min(least.values()) * _EQUAL
    kind = next(kind for kind in runs if least[kind] <= limit)
    choice = Choice(kind, least, refused or {})
    _keep(key, choice)
    return choice


def _keep(key: Mapping[str, Any], choice: Choice) -> None:
    text = json.dumps({**asdict(choice), "key": dict(key)}, indent=2) + "\n"
    try:
        write_atomic(_file(key), text.encode())
    except OSError as error:
        _log.info("%s: the choice of engine is not kept (%s)", _file(key), error.strerror)


def _file(key: Mapping[str, Any]) -> Path:
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
    return cache_folder("engines") / f"{digest}.json"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
