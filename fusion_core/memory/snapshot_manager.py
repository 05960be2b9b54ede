"""Keep a memory bank's snapshot on disk, across restarts and without delaying frames."""

from __future__ import annotations

import errno
import itertools
import logging
import os
import threading
import time
from pathlib import Path
from typing import Final

from fusion_core.errors import MemoryBankError
from fusion_core.memory.kept import Kept
from fusion_core.memory.snapshot import is_own_file
from fusion_core.memory.snapshot_lock import SnapshotLock

_log = logging.getLogger(__name__)
_FOREIGN: Final = "is no snapshot of a bank and is left alone; set memory.file to another file"


class SnapshotManager:
    """Load a memory's snapshot at the start, save it periodically and at the end.

    Args:
        bank: The memory to keep; None for a network without one, and then nothing is kept.
        path: Snapshot file, or None to keep nothing.
        period_s: Seconds between snapshots; 0 saves at the end only.
    """

    def __init__(self, bank: Kept | None, path: Path | None, period_s: float) -> None:
        self._bank = bank
        self._path = path if bank else None
        self._period_s = period_s
        self._foreign = False
        self._saved_at = time.monotonic()
        self._saved_revision: int | None = None
        self._lock: SnapshotLock | None = None
        self._writer: threading.Thread | None = None

    def load(self, *, reset_invalid: bool) -> tuple[str, ...]:
        """Load the snapshot if there is one; return health conditions to report.

        Only a snapshot of this project is ever set aside. Anything else of that name, such as a
        folder or somebody's file, stays where it is, and the bank is not saved.

        Args:
            reset_invalid: Set an unusable snapshot aside and go on with the trained bank.

        Returns:
            ``memory_fresh``: the snapshot could not be used; ``memory_unsaved``: nor will the bank
            be saved.

        Raises:
            MemoryBankError: The snapshot is unusable and ``reset_invalid`` is False, or another
                process uses it.
        """
        if self._bank is None or self._path is None:
            return ()
        self._lock = SnapshotLock(self._path)
        # Of a link that leads nowhere yet, the first save creates the file; a circle is an error.
        if not os.path.lexists(_real(self._path)):
            return ()
        try:
            self._bank.load_snapshot(self._path)
            self._saved_revision = self._bank.revision
        except MemoryBankError as error:
            if not reset_invalid:
                raise
            return self._reset(error)
        return ()

    def tick(self) -> None:
        """Save in the background when the period is over; returns at once."""
        if self._path is None or self._foreign or not self._period_s or not self._changed():
            return
        now = time.monotonic()
        if now - self._saved_at < self._period_s or (self._writer and self._writer.is_alive()):
            return
        self._saved_at = now
        self._writer = threading.Thread(target=self._save_quietly, name="memory-snapshot")
        self._writer.start()

    def save(self) -> Path:
        """Save now and return the file.

        Raises:
            MemoryBankError: No file is configured, or it cannot be written.
        """
        if self._bank is None:
            raise MemoryBankError("the model has no memory bank: choose one that has")
        if self._path is None:
            raise MemoryBankError("memory.file is empty: set it to say where to save the bank")
        if self._foreign:
            raise MemoryBankError(f"{self._path}: {_FOREIGN}")
        revision = self._bank.revision
        try:
            self._bank.save_snapshot(self._path)
        except OSError as error:
            raise MemoryBankError(
                f"{self._path}: cannot be written ({error.strerror}); make room or set memory.file "
                "to another place"
            ) from None
        self._saved_revision = revision
        return self._path

    def close(self) -> None:
        """Wait for a running save, then save a last time where a file is configured.

        A bank that is as it was loaded or saved is not saved again.
        """
        if self._writer:
            self._writer.join()
        try:
            if self._path is not None and not self._foreign and self._changed():
                self.save()
        finally:
            if self._lock:
                self._lock.release()

    def _changed(self) -> bool:
        return self._bank is not None and self._bank.revision != self._saved_revision

    def _reset(self, error: MemoryBankError) -> tuple[str, ...]:
        """Set a snapshot aside that cannot be used; return the conditions."""
        assert self._path is not None
        real = _real(self._path)
        try:
            if not is_own_file(real):
                raise FileExistsError(errno.EEXIST, _FOREIGN)
            aside = _free_name(real)
            real.rename(aside)
        except OSError as reason:
            self._foreign = True
            _log.warning("%s; starting with a fresh bank; %s", error, reason.strerror)
            return ("memory_fresh", "memory_unsaved")
        _log.warning("%s; starting with a fresh bank, the file is kept as %s", error, aside)
        return ("memory_fresh",)

    def _save_quietly(self) -> None:
        try:
            self.save()
        except MemoryBankError as error:
            _log.warning("memory bank not saved: %s", error)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _free_name(path: Path) -> Path:
    """Return the first of ``NAME.rejected``, ``NAME.rejected-2``, ... that is free."""
    first = path.with_name(path.name + ".rejected")
    others = (path.with_name(f"{first.name}-{number}") for number in itertools.count(2))
    return next(each for each in itertools.chain([first], others) if not os.path.lexists(each))
