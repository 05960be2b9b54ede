"""One process at a time for each snapshot file."""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path

from fusion_core.errors import MemoryBankError


class SnapshotLock:
    """Hold ``FILE.lock``, so that no second process saves to the same snapshot.

    The lock ends with the process however that ends. The lock file itself stays: removing it would
    let two processes lock two files of the same name. Where it cannot be made nothing is locked;
    saving then fails for the same reason, and reports it.

    Raises:
        MemoryBankError: Another process, or another pipeline of this one, holds the lock.
    """

    def __init__(self, path: Path) -> None:
        self._close: weakref.finalize[[int], SnapshotLock] | None = None
        real = Path(os.path.realpath(path))
        try:
            real.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(f"{real}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError:
            return
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise MemoryBankError(
                f"{path}: another process saves its memory bank there; end it, or set memory.file "
                "to a file of its own"
            ) from None
        except OSError:  # a file system without locks
            os.close(handle)
            return
        self._close = weakref.finalize(self, os.close, handle)

    def release(self) -> None:
        """Let others have the file; a second call changes nothing."""
        if self._close is not None:
            self._close()
