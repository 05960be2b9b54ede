"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_NAME_SHARE: Final = 40  # characters of the target's name in a temporary file's


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Yield a temporary path that replaces ``target`` once the block has ended well.

    The data are flushed to disk before the rename and the folder after it, so that a power cut
    leaves either the old file or the new one. On an exception the target stays as it was. A link
    stays a link: the file it leads to is replaced. A replaced file hands on its mode.

    Raises:
        OSError: The target is a folder, a device or a named pipe, or cannot be written.
    """
    target = resolve_file(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _create_beside(target)
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    flush_folder(target.parent)


def write_atomic(target: str | Path, data: bytes) -> None:
    """Write a file of these bytes; it is either whole or as it was.

    Raises:
        OSError: It cannot be written.
    """
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)


def resolve_file(path: str | Path) -> Path:
    """Return where a file lies or will lie, after all links.

    Raises:
        OSError: A folder, a device or a named pipe is there, or the links form a circle.
    """
    real = Path(os.path.realpath(path))
    if real.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    if real.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if real.exists() and not real.is_file():
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    return real


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, on file systems that can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _create_beside(target: Path) -> Path:
    """Create an empty file of a new name in the target's folder, with the mode of new files."""
    while True:
        name = f".{target.name[:_NAME_SHARE]}.{secrets.token_hex(4)}"
        with suppress(FileExistsError):
            handle = os.open(target.with_name(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            os.close(handle)
            return target.with_name(name)
