"""What a worker does with one unit: stage, fuse, publish."""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fusion_core.errors import FusionError
from fusion_lab.fleet.places import stage
from fusion_lab.fleet.results import ResultFolder
from fusion_lab.fleet.scratch import scratch_folder
from fusion_lab.fleet.unit import Unit, UnitRecord, is_remote, texts

if TYPE_CHECKING:
    from fusion_core.cli.run import Run

MOMENTS_FILE: Final = "moments/moments.json"
_FIGURES: Final = ("read", "pairs", "fused", "fps", "drops", "latency_ms", "warnings")


def run_unit(unit: Unit) -> UnitRecord:
    """Do one unit's work and return what became of it; never raises for what fails in it.

    Work that is done already, with the same fingerprint, is not done again. What an attempt left
    that did not come to its end is removed first.
    """
    folder = ResultFolder(unit.out, unit.recording.name)
    try:
        before = folder.read()
        if before and (before.state, before.fingerprint) == ("done", unit.fingerprint):
            return before
        begun = _begun(unit, before)
        folder.begin(begun, before)
    except Exception as error:  # noqa: BLE001 - one recording's fault is not the others'
        return UnitRecord.failed(unit, _reason(error))
    try:
        with scratch_folder() as scratch:
            record = _work(unit, begun, folder, scratch)
        folder.mark(record)
    except Exception as error:  # noqa: BLE001
        return replace(begun, state="failed", reason=_reason(error))
    return record


def _begun(unit: Unit, before: UnitRecord | None) -> UnitRecord:
    again = before is not None and before.fingerprint == unit.fingerprint
    unfinished = before is not None and again and before.state == "running"
    return UnitRecord(
        unit.recording.name,
        "running",
        unit.fingerprint,
        unit.recording.identity,
        attempt=before.attempt + 1 if before and unfinished else 1,
        host=platform.node(),
        pid=os.getpid(),
        input_bytes=unit.input_bytes,
    )


@dataclass
class _Steps:
    """How long each step took, in seconds."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = round(time.perf_counter() - start, 3)


def _work(unit: Unit, begun: UnitRecord, folder: ResultFolder, scratch: Path) -> UnitRecord:
    """Stage, fuse and publish; what a failed run wrote is published as well."""
    steps, staged_bytes, reason = _Steps(), 0, ""
    results = scratch / "results"
    results.mkdir()
    try:
        with steps("stage"):
            staged, staged_bytes = _stage(unit, scratch / "inputs")
        with steps("fuse"):
            _fuse(staged, scratch, results)
    except Exception as error:  # noqa: BLE001
        reason = _reason(error).replace(f"{results}/", "")
    record = replace(
        begun,
        state="failed" if reason else "done",
        reason=reason,
        staged_bytes=staged_bytes,
        seconds=steps.seconds,
        figures=_tidy_summary(unit, results),
        moments=_moments(results),
    )
    with steps("publish"):
        return folder.publish(record, results)


def _stage(unit: Unit, folder: Path) -> tuple[Unit, int]:
    """Return the unit with paths on this machine, and how many bytes were copied for it."""
    total = 0

    def local(name: str, address: str) -> str:
        nonlocal total
        path, copied = stage(address, folder / name)
        total += copied
        return path

    recording = unit.recording
    inputs = {name: local(name, getattr(recording, name)) for name in ("bag", "visible", "thermal")}
    config = json.loads(json.dumps(unit.config))
    for name, value in list(texts(config)):
        if is_remote(value):
            block, _, leaf = name.rpartition(".")
            (config[block] if block else config)[leaf] = local(name, value)
    return replace(unit, recording=replace(recording, **inputs), config=config), total


def _fuse(unit: Unit, scratch: Path, results: Path) -> None:
    """Fuse a staged unit into a folder, as `fusion run` does, with its tables beside.

    Raises:
        FusionError: The run failed; what it wrote before is complete.
    """
    from fusion_core.cli.session import RunSession
    from fusion_core.cli.stop_signal import StopSignal
    from fusion_lab.fleet.unit_sink import UnitSink

    options = _options(unit, scratch, results)
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
        ExitStack() as stack,
    ):
        session = RunSession.open(options, StopSignal(), stack)
        session.sinks.append(stack.enter_context(UnitSink(results, unit.recording.name)))
        session.fuse()


def _options(unit: Unit, scratch: Path, results: Path) -> Run:
    """Return the command line of the run that fuses a staged unit."""
    import yaml

    from fusion_core.cli.run import Run

    config = dict(unit.config)
    if memory := config["memory"]["file"]:
        own = results / f"memory{Path(memory).suffix}"
        if Path(memory).is_file():
            shutil.copyfile(memory, own)
        config["memory"] = {**config["memory"], "file": str(own)}
    path = scratch / "config.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    recording = unit.recording
    visible_topic = recording.visible_topic or unit.topics[0]
    thermal_topic = recording.thermal_topic or unit.topics[1]
    return Run(
        out=tuple(_below(results, name) for name in unit.keep),
        bag=recording.bag or None,
        visible=recording.visible or None,
        thermal=recording.thermal or None,
        visible_topic=(visible_topic or None) if recording.bag else None,
        thermal_topic=(thermal_topic or None) if recording.bag else None,
        overlay=unit.overlay,
        max_frames=unit.max_frames,
        config=path,
    )


def _below(folder: Path, name: str) -> str:
    """Return an output of ``fusion run`` with its path below a folder."""
    scheme, separator, path = name.rpartition(":")
    return f"{scheme}{separator}{folder}/{path}"


def _tidy_summary(unit: Unit, results: Path) -> dict[str, Any]:
    """Name in ``run.json`` what the user named, in place of paths on the worker's machine.

    Returns:
        The figures of the summary that a fleet's page shows; none where there is no summary.
    """
    path = results / "run.json"
    if not path.is_file():
        return {}
    summary: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    named = {"recording": json.loads(unit.recording.identity), "outputs": list(unit.keep)}
    tidy = {**summary, **named, "config": unit.config, "calibration": unit.config["calibration"]}
    path.write_text(json.dumps(tidy, indent=2) + "\n", encoding="utf-8")
    return {name: summary[name] for name in _FIGURES}


def _moments(results: Path) -> tuple[dict[str, Any], ...]:
    """Return the worst moments that a run left."""
    path = results / MOMENTS_FILE
    return tuple(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else ()


def _reason(error: BaseException) -> str:
    """Return why something failed, in one line."""
    text = " ".join(str(error).split())
    return text if isinstance(error, FusionError) else f"{type(error).__name__}: {text}"
