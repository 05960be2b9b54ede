"""One server for each file of a socket."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from fusion_core.errors import SinkError
from fusion_core.runtime.closable import Closable


class SocketFile(Closable):
    """Hold the file of an ``ipc`` socket, so that no second server takes it over.

    ZeroMQ removes whatever lies at the path. A lock beside it, ``FILE.lock``, ends with its process
    however that ends, so that the socket of a server that was killed can be taken over.

    Args:
        path: The socket's file.

    Raises:
        SinkError: A server listens there, something else lies there, or the folder cannot be
            written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SinkError(
                f"ipc://{path}: cannot be bound ({error.strerror}); choose a folder that you may "
                "write to"
            ) from None
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._handle)
            raise SinkError(
                f"ipc://{path}: another server listens there; end it, or choose another file"
            ) from None
        if os.path.lexists(path) and not stat.S_ISSOCK(path.lstat().st_mode):
            os.close(self._handle)
            raise SinkError(
                f"ipc://{path}: the file is no socket and is left alone; choose another"
            )

    def close(self) -> None:
        """Remove the socket and let others have its name."""
        self._path.unlink(missing_ok=True)
        os.close(self._handle)
