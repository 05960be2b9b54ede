"""The recordings of a fleet: which there are, and what each one is called."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath
from typing import Final

from fusion_core.errors import UsageError
from fusion_lab.fleet.manifest import read_manifest_rows
from fusion_lab.fleet.places import absolute, find_bags, is_scene, matches

_HASH_DIGITS: Final = 8
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording, and what is special about it; empty: as for all others.

    Attributes:
        name: Its folder below the output folder.
        bag: Path or address of what holds both streams.
        visible: Path or address of the visible stream.
        thermal: Path or address of the thermal stream.
        visible_topic: Topic of the visible images in the bag.
        thermal_topic: Topic of the thermal images in the bag.
        calibration: Rig file.
        mask: Mask file or folder.
    """

    name: str = ""
    bag: str = ""
    visible: str = ""
    thermal: str = ""
    visible_topic: str = ""
    thermal_topic: str = ""
    calibration: str = ""
    mask: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The addresses that are read."""
        return tuple(part for part in (self.bag, self.visible, self.thermal) if part)

    @property
    def identity(self) -> str:
        """What tells two recordings apart, whatever they are called."""
        return json.dumps(asdict(replace(self, name="")), sort_keys=True)


def find_recordings(inputs: Sequence[str]) -> list[Recording]:
    """Return the recordings that a command line names, each once, in the order given.

    Args:
        inputs: Bags, folders that hold bags at any depth, patterns of them, tables ``*.csv``, and
            addresses of recorded scenes. Paths are local or addresses that fsspec opens.

    Raises:
        UsageError: One of them does not exist, holds no bag, or a line of a table is wrong.
    """
    found: dict[str, Recording] = {}
    for given in inputs:
        for recording in _expand(given):
            known = found.setdefault(recording.identity, recording)
            if recording.name and known.name != recording.name:
                raise UsageError(
                    f"{' and '.join(recording.inputs)} is given twice, as {known.name or 'unnamed'}"
                    f" and {recording.name}: give it once"
                )
    named = Counter(recording.name for recording in found.values() if recording.name)
    for name, count in named.items():
        if count > 1:
            raise UsageError(f"{count} recordings are named {name}: give each its own name")
    return list(found.values())


def _expand(given: str) -> Iterable[Recording]:
    if is_scene(given):
        return [Recording(bag=given)]
    if given.lower().endswith(".csv"):
        return [Recording(**row) for row in read_manifest_rows(given)]
    paths = matches(given)
    if not paths:
        raise UsageError(f"{given}: does not exist; give a bag, a folder of bags or a table *.csv")
    bags = [bag for path in paths for bag in find_bags(path)]
    if not bags:
        raise UsageError(
            f"{given}: holds no bag (a folder with metadata.yaml, *.bag or *.mcap); for videos and "
            "folders of images give a table *.csv with the columns visible and thermal"
        )
    return [Recording(bag=absolute(bag)) for bag in bags]


def name_recordings(recordings: Sequence[Recording], present: Mapping[str, str]) -> list[Recording]:
    """Return the recordings with names, no two alike and none that belongs to another recording.

    A recording without a name takes that of its file or folder. Where this is not unique, or is
    that of another recording's results, a hash of the recording's address follows it. So a
    recording that is given again finds its own results.

    Args:
        recordings: Each differs from all others.
        present: Name -> identity of the recordings that have results.
    """
    plain = [recording.name or _stem(recording) for recording in recordings]
    count = Counter(name.lower() for name in plain)
    named = []
    for recording, name in zip(recordings, plain, strict=True):
        digest = hashlib.sha256(recording.identity.encode()).hexdigest()[:_HASH_DIGITS]
        longer = f"{name}-{digest}"
        owned = present.get(name) == recording.identity
        foreign = not owned and (count[name.lower()] > 1 or name in present or longer in present)
        named.append(replace(recording, name=longer if foreign and not recording.name else name))
    return named


def _stem(recording: Recording) -> str:
    """Return a name from the first input's address."""
    address = recording.inputs[0].rstrip("/")
    path = PurePosixPath(address.partition("://")[2] or address)
    stem = path.stem if path.suffix.lower() in {".bag", ".mcap", ".mp4", ".mkv", ".avi"} else ""
    if not recording.bag and any(sign in path.name for sign in "*?["):
        stem = path.parent.name
    return _NO_NAME.sub("_", stem or path.name).strip("._") or "recording"
