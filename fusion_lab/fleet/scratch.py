"""Folders for staged inputs and for results before they are published."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "fusion-batch-"
_LOCK: Final = ".lock"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a folder on this machine that is removed at the end.

    A folder of a process that was killed before it could do so is removed by the next one: the
    system releases the lock in it with the process.
    """
    remove_stale()
    new = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))
    with (new / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = new.rename(new.with_name(new.name[1:]))  # found by others from here on
        try:
            yield folder
        finally:
            _remove(folder)


def remove_stale() -> None:
    """Remove the folders that no process holds any more."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError), lock.open("r+") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(lock.parent)


def _remove(folder: Path) -> None:
    """Remove a folder, its lock last: one whose removal is cut short is found again by it."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        elif entry.name != _LOCK:
            entry.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
