"""A unit's folder of results: complete, or marked as not."""

from __future__ import annotations

import posixpath
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from fusion_core.errors import SinkError
from fusion_lab.fleet.places import file_system, upload_whole, write_whole
from fusion_lab.fleet.unit import UnitRecord

MARKER: Final = "unit.json"


class ResultFolder:
    """Where the results of one recording lie.

    ``unit.json`` is written first, with the state ``running`` and the names of the files that will
    follow, and last, with the state ``done``. A folder counts only with the latter, and only files
    that are named there are ever removed.

    Args:
        out: Address of the fleet's folder.
        name: The recording's name.
    """

    def __init__(self, out: str, name: str) -> None:
        self._system, path = file_system(out)
        self._path = posixpath.join(path, name)
        self._address = posixpath.join(out, name)

    def read(self) -> UnitRecord | None:
        """Return the record in the folder; None when there is none.

        Raises:
            SinkError: There are files but no record: they are somebody else's.
        """
        self._system.invalidate_cache()
        try:
            data = self._system.cat_file(posixpath.join(self._path, MARKER))
        except FileNotFoundError:
            if self._system.exists(self._path) and self._system.ls(self._path, detail=False):
                raise self._foreign() from None
            return None
        try:
            return UnitRecord.from_json(data)
        except ValueError:
            raise self._foreign() from None

    def begin(self, record: UnitRecord, before: UnitRecord | None) -> None:
        """Mark the folder as at work, and remove what an earlier attempt left."""
        old = before.files if before else ()
        self.mark(replace(record, files=old))
        for name in old:
            with suppress(FileNotFoundError):
                self._system.rm_file(posixpath.join(self._path, name))

    def publish(self, record: UnitRecord, folder: Path) -> UnitRecord:
        """Copy the results of a finished unit, then mark the folder with its record.

        Args:
            record: What became of the unit.
            folder: Its results on this machine.

        Returns:
            The record, with files and sizes.
        """
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = tuple(file.relative_to(folder).as_posix() for file in files)
        self.mark(replace(record, state="running", files=names))
        for name, file in zip(names, files, strict=True):
            target = posixpath.join(self._path, name)
            self._system.makedirs(posixpath.dirname(target), exist_ok=True)
            upload_whole(self._system, file, target)
        return replace(record, files=names, result_bytes=sum(file.stat().st_size for file in files))

    def mark(self, record: UnitRecord) -> None:
        """Write the record."""
        self._system.makedirs(self._path, exist_ok=True)
        data = record.to_json().encode()
        write_whole(self._system, posixpath.join(self._path, MARKER), data)

    def _foreign(self) -> SinkError:
        return SinkError(
            f"{self._address}: holds files that are not of a batch; choose another --out or name"
        )


def present_records(out: str) -> dict[str, UnitRecord]:
    """Return the records of all units below a fleet's folder, by name."""
    system, path = file_system(out)
    system.invalidate_cache()
    found = {}
    for marker in system.glob(posixpath.join(path, "*", MARKER)):
        name = posixpath.basename(posixpath.dirname(marker))
        with suppress(ValueError, FileNotFoundError):
            found[name] = UnitRecord.from_json(system.cat_file(marker))
    return found
