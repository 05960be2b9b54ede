"""From the recordings and the options to units of work."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from fusion_core.config import Config
from fusion_core.errors import FusionError, UsageError
from fusion_core.runtime.overlap import refuse_overlap
from fusion_core.sink.factory import output_kind, output_path
from fusion_lab.fleet.places import file_system, is_local, is_scene, measure
from fusion_lab.fleet.recordings import Recording, name_recordings
from fusion_lab.fleet.results import present_records
from fusion_lab.fleet.unit import Unit, UnitRecord, fingerprint


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, and what need not be.

    Attributes:
        units: To do, the largest inputs first, so that the last ones to end are small.
        finished: Records of units whose results are there.
        unreadable: Records of units whose inputs cannot be read.
    """

    units: tuple[Unit, ...]
    finished: tuple[UnitRecord, ...]
    unreadable: tuple[UnitRecord, ...]

    @property
    def total(self) -> int:
        """Number of recordings."""
        return len(self.units) + len(self.finished) + len(self.unreadable)


def make_plan(recordings: Sequence[Recording], common: Unit) -> Plan:
    """Return what is to be done.

    Args:
        recordings: Each differs from all others.
        common: What all units share.

    Raises:
        UsageError: The outputs would lie in an input.
    """
    present = present_records(common.out)
    named = name_recordings(recordings, {name: p.identity for name, p in present.items()})
    _check_overlap(named, common.out)
    units: list[Unit] = []
    finished: list[UnitRecord] = []
    unreadable: list[UnitRecord] = []
    for recording in named:
        unit = replace(common, recording=recording, config=_config_of(recording, common.config))
        try:
            sizes, digests = zip(*(measure(path) for path in recording.inputs), strict=True)
            unit = replace(unit, input_bytes=sum(sizes))
            unit = replace(unit, fingerprint=fingerprint(unit, list(digests)))
        except FusionError as error:
            unreadable.append(UnitRecord.failed(unit, str(error)))
            continue
        known = present.get(recording.name)
        if known and (known.state, known.fingerprint) == ("done", unit.fingerprint):
            finished.append(known)
        else:
            units.append(unit)
    units.sort(key=lambda unit: -unit.input_bytes)
    return Plan(tuple(units), tuple(finished), tuple(unreadable))


def plain_config(config: Config, threads: int) -> dict[str, Any]:
    """Return a configuration as nested plain values, with a number of threads."""
    values: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    return {**values, "threads": config.threads or threads}


def check_kept(keep: Sequence[str]) -> None:
    """Check that outputs of ``fusion run`` are files or folders named from a unit's folder.

    Raises:
        UsageError: One is an address, lies elsewhere, or is of an unknown kind.
    """
    for name in keep:
        output_kind(name)
        path = output_path(name)
        if path is None or path.is_absolute() or ".." in path.parts or not path.name:
            raise UsageError(
                f"--keep {name}: give a file or folder named from the recording's own folder, such "
                "as fused.mp4, fused.jsonl, fused/ or bag:fused"
            )


def _config_of(recording: Recording, config: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return the common configuration with what is special about a recording."""
    own = dict(config)
    if recording.calibration:
        own["calibration"] = recording.calibration
    if recording.mask:
        own["mask"] = {**config["mask"], "file": recording.mask}
    return own


def _check_overlap(recordings: Sequence[Recording], out: str) -> None:
    """Refuse an output folder that is, or lies in, an input."""
    system, path = file_system(out)
    inputs = {address for recording in recordings for address in recording.inputs}
    local = [Path(name) for name in inputs if not is_scene(name) and is_local(file_system(name)[0])]
    if is_local(system):
        refuse_overlap(local, [Path(path)])
        return
    for name in inputs:
        if not is_scene(name) and PurePosixPath(out).is_relative_to(PurePosixPath(name)):
            raise UsageError(f"--out {out} lies in the input {name}: choose a place outside of it")
