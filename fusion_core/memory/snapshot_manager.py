"""Keep a memory bank's snapshot on disk, across restarts and without delaying frames."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from fusion_core.errors import MemoryBankError
from fusion_core.memory.bank import MemoryBank
from fusion_core.memory.snapshot_lock import SnapshotLock

_log = logging.getLogger(__name__)


class SnapshotManager:
    """Load a bank's snapshot at the start, save it periodically and at the end.

    Args:
        bank: The bank to keep; None for a network without one, and then nothing is kept.
        path: Snapshot file, or None to keep nothing.
        period_s: Seconds between snapshots; 0 saves at the end only.
    """

    def __init__(self, bank: MemoryBank | None, path: Path | None, period_s: float) -> None:
        self._bank = bank
        self._path = path if bank else None
        self._period_s = period_s
        self._saved_at = time.monotonic()
        self._saved_revision: int | None = None
        self._lock: SnapshotLock | None = None
        self._writer: threading.Thread | None = None

    def load(self, *, reset_invalid: bool) -> tuple[str, ...]:
        """Load the snapshot if there is one; return health conditions to report.

        Args:
            reset_invalid: Set an unusable snapshot aside and go on with the trained bank.

        Raises:
            MemoryBankError: The snapshot is unusable and ``reset_invalid`` is False, or another
                process uses it.
        """
        if self._bank is None or self._path is None:
            return ()
        self._lock = SnapshotLock(self._path)
        if not self._path.exists():
            return ()
        try:
            self._bank.load_snapshot(self._path)
            self._saved_revision = self._bank.revision
        except MemoryBankError as error:
            if not reset_invalid:
                raise
            aside = self._path.with_name(self._path.name + ".rejected")
            self._path.replace(aside)
            _log.warning("%s; starting with a fresh bank, the file is kept as %s", error, aside)
            return ("memory_fresh",)
        return ()

    def tick(self) -> None:
        """Save in the background when the period is over; returns at once."""
        if self._path is None or not self._period_s or not self._changed():
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
        revision = self._bank.revision
        try:
            self._bank.save_snapshot(self._path)
        except OSError as error:
            raise MemoryBankError(f"{self._path}: cannot be written ({error.strerror})") from None
        self._saved_revision = revision
        return self._path

    def close(self) -> None:
        """Wait for a running save, then save a last time where a file is configured.

        A bank that is as it was loaded or saved is not saved again.
        """
        if self._writer:
            self._writer.join()
        try:
            if self._path is not None and self._changed():
                self.save()
        finally:
            if self._lock:
                self._lock.release()

    def _changed(self) -> bool:
        return self._bank is not None and self._bank.revision != self._saved_revision

    def _save_quietly(self) -> None:
        try:
            self.save()
        except MemoryBankError as error:
            _log.warning("memory bank not saved: %s", error)
