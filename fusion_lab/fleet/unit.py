"""One recording's work, and the record of what became of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from typing_extensions import Self

from fusion_core import __version__
from fusion_core.errors import UsageError
from fusion_lab.fleet.places import file_system, is_local, measure
from fusion_lab.fleet.recordings import Recording

_FORMAT: Final = 1  # of what a unit leaves in its folder; a change redoes all units
State = Literal["running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Unit:
    """A recording, how it is fused and where its results go; plain values that any machine reads.

    Attributes:
        recording: The recording, with its name.
        config: The whole configuration, as nested plain values.
        overlay: Draw the detected objects into videos.
        max_frames: Stop after this many fused frames; None: at the end.
        keep: Outputs of ``fusion run`` to keep, named from the unit's folder.
        out: Address of the fleet's folder.
        topics: Visible and thermal topic in bags whose recording does not say; empty: found.
        fingerprint: Digest of everything that the results depend on.
        input_bytes: Size of the inputs.
    """

    recording: Recording
    config: Mapping[str, Any]
    overlay: bool
    max_frames: int | None
    keep: tuple[str, ...]
    out: str
    topics: tuple[str, str] = ("", "")
    fingerprint: str = ""
    input_bytes: int = 0

    def to_json(self) -> str:
        """Return the unit as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the unit of such a line."""
        values = json.loads(text)
        values["recording"] = Recording(**values["recording"])
        values |= {name: tuple(values[name]) for name in ("keep", "topics")}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class UnitRecord:
    """What became of a unit; ``unit.json`` in its folder.

    Attributes:
        name: The recording's name.
        state: ``running`` from its start to its end; ``done`` once all results are in place.
        fingerprint: The unit's.
        identity: The recording's, see ``Recording.identity``.
        attempt: How often this work was begun, from 1; more than 1 after a worker was lost.
        reason: Why it failed, empty otherwise.
        host: Machine that did it.
        pid: Process that did it.
        files: Names of the results below the folder.
        input_bytes: Size of the inputs.
        staged_bytes: Bytes copied to the machine.
        result_bytes: Bytes of the results.
        seconds: Duration of the steps: ``stage``, ``fuse``, ``publish``.
        figures: Of the run's summary: ``read``, ``pairs``, ``fused``, ``fps``, ``drops``,
            ``latency_ms``.
        moments: The worst moments, see ``fusion_lab.fleet.moments.Moment``.
    """

    name: str
    state: State
    fingerprint: str
    identity: str
    attempt: int = 1
    reason: str = ""
    host: str = ""
    pid: int = 0
    files: tuple[str, ...] = ()
    input_bytes: int = 0
    staged_bytes: int = 0
    result_bytes: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    moments: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def failed(cls, unit: Unit, reason: str) -> Self:
        """Return the record of a unit that failed before or beside its work."""
        recording = unit.recording
        return cls(
            recording.name,
            "failed",
            unit.fingerprint,
            recording.identity,
            reason=reason,
            input_bytes=unit.input_bytes,
        )

    def to_json(self) -> str:
        """Return the record as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Return the record of such a line.

        Raises:
            ValueError: It is none.
        """
        try:
            values = json.loads(text)
            lists = {name: tuple(values[name]) for name in ("files", "moments")}
            return cls(**{**values, **lists})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not the record of a unit ({error})") from None


def fingerprint(unit: Unit, inputs: list[str]) -> str:
    """Return the digest of everything that a unit's results depend on.

    That is the inputs, the settings and the files that they name, the outputs and the version. The
    number of threads is left out.

    Args:
        unit: The unit.
        inputs: Digests of the inputs.

    Raises:
        SourceError: A file that the settings name cannot be read.
    """
    settings = {key: value for key, value in unit.config.items() if key != "threads"}
    named = sorted({value for _, value in texts(settings) if _is_file(value)})
    recording = json.loads(unit.recording.identity)
    parts = [
        (_FORMAT, __version__, settings, [measure(path)[1] for path in named]),
        (recording, inputs, unit.overlay, unit.max_frames, unit.keep, unit.topics),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def texts(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the full name and the value of every setting that is a text."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from texts(value, f"{prefix}{name}.")
        elif isinstance(value, str):
            yield f"{prefix}{name}", value


def is_remote(value: str) -> bool:
    """Tell whether a setting's text is the address of a file in an object store."""
    if "://" not in value or any(letter.isspace() for letter in value):
        return False
    try:
        return not is_local(file_system(value)[0])
    except UsageError:
        return False


def _is_file(value: str) -> bool:
    return is_remote(value) or (len(value) < 4096 and bool(value) and Path(value).exists())
