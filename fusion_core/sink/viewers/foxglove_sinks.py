"""Foxglove: a server that viewers connect to, and recordings that they open."""

from __future__ import annotations

import time
from collections.abc import Callable
from io import BufferedWriter
from pathlib import Path
from typing import Final, TypeVar

from fusion_core.errors import SinkError
from fusion_core.sink.base import Sink, SinkKind, create_recording
from fusion_core.sink.viewers.address import ViewerAddress
from fusion_core.sink.viewers.foxglove_topics import FoxgloveTopics, import_foxglove, layout_json
from fusion_core.sink.viewers.live import LiveViewerSink
from fusion_core.types import FusedFrame

_T = TypeVar("_T")
_PORT: Final = 8765
_STORE_EVERY_S: Final = 1.0
# Messages that wait for one slow viewer, about ten results: the package drops the oldest.
_BACKLOG: Final = 128
# The package never drops times, and disconnects a viewer for whom as many of them wait.
_TIME_EVERY_S: Final = 0.25


class FoxgloveServerSink(LiveViewerSink):
    """Serve results to all viewers that connect; without any, pictures are not even encoded.

    Args:
        url: ``foxglove://HOST:PORT``; the loopback interface and port 8765 unless given.

    Raises:
        UsageError: The address is malformed.
        MissingExtraError: The package is not installed.
        SinkError: The port is taken or the host is not this machine.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        address = ViewerAddress.parse(url, _PORT)
        foxglove = import_foxglove(f"output {url}")
        context = foxglove.Context()
        self._topics = FoxgloveTopics(foxglove, context)
        try:
            self._server = foxglove.start_server(
                name="fusion",
                host=address.host,
                port=address.port,
                # The stream's own time: recordings are shown at theirs.
                capabilities=[foxglove.websocket.Capability.Time],
                context=context,
                message_backlog_size=_BACKLOG,
            )
        except Exception as error:  # noqa: BLE001 - of the package's own kinds
            raise SinkError(
                f"{url}: cannot be served ({error}); choose a free port and an address of this "
                "machine, such as 127.0.0.1 or 0.0.0.0 for all"
            ) from None
        self._timed_at = -_TIME_EVERY_S
        self._start()

    @property
    def watched(self) -> bool:
        """Whether a viewer shows any of the topics."""
        return self._topics.watched

    def _show(self, fused: FusedFrame) -> str:
        if not self._topics.watched:
            return "viewer_away"
        stamp_ns = self._topics.log(fused)
        if time.monotonic() - self._timed_at >= _TIME_EVERY_S:
            self._timed_at = time.monotonic()
            self._server.broadcast_time(stamp_ns)
        return ""

    def _end(self) -> None:
        self._server.stop()


class FoxgloveFileSink(Sink):
    """Write an MCAP file with its layout; nothing is left out.

    What was written is handed to the system once a second, so that a process that is killed loses
    a second at most.

    Args:
        path: ``.mcap`` file to create.

    Raises:
        MissingExtraError: The package is not installed.
        SinkError: The file exists already or cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        foxglove = import_foxglove(f"output {path}")
        self._file = _GuardedFile(path, create_recording(path))
        context = foxglove.Context()
        self._topics = FoxgloveTopics(foxglove, context)
        # JPEGs do not get smaller; LZ4 passes over them quickly.
        options = foxglove.mcap.MCAPWriteOptions(compression=foxglove.mcap.MCAPCompression.Lz4)
        self._writer = foxglove.open_mcap(self._file, context=context, writer_options=options)
        self._stored_at = time.monotonic()
        self._closed = False

    def write(self, fused: FusedFrame) -> None:
        """Add one result."""
        if self._closed:
            raise SinkError(f"{self.path}: is closed already; open a new recording")
        self._topics.log(fused)
        if time.monotonic() - self._stored_at >= _STORE_EVERY_S:
            self._guarded(self._writer.flush)
            self._stored_at = time.monotonic()
        self._file.check()

    def close(self) -> None:
        """Write what waits, the layout and the index; may be called twice."""
        if self._closed:
            return
        self._closed = True
        self._guarded(self._finish)
        self._guarded(self._file.close)
        self._file.check()

    def _finish(self) -> None:
        try:
            self._writer.attach(
                log_time=0,
                create_time=0,
                name="foxglove_layout.json",
                media_type="application/json",
                data=layout_json(),
            )
        finally:
            self._writer.close()

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - of the package's own kinds
            self._file.fail(error)


class _GuardedFile:
    """A file that remembers why it could not be written, which the package only logs.

    Args:
        path: For messages.
        file: Where the bytes go.
    """

    def __init__(self, path: Path, file: BufferedWriter) -> None:
        self._path = path
        self._file = file
        self._failure = ""

    def write(self, data: bytes | bytearray) -> int:
        """Write bytes and return how many."""
        return self._kept(lambda: self._file.write(data))

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move and return the position."""
        return self._kept(lambda: self._file.seek(offset, whence))

    def flush(self) -> None:
        """Hand everything to the system."""
        self._kept(self._file.flush)

    def close(self) -> None:
        """Flush and close."""
        self._kept(self._file.close)

    def fail(self, error: Exception) -> None:
        """Remember a failure, unless there was one before."""
        self._failure = self._failure or getattr(error, "strerror", None) or str(error)

    def check(self) -> None:
        """Raise a SinkError once something could not be written."""
        if self._failure:
            raise SinkError(
                f"{self._path}: cannot be written ({self._failure}); what was written before is "
                "kept: make room or choose another place"
            )

    def _kept(self, action: Callable[[], _T]) -> _T:
        try:
            return action()
        except OSError as error:
            self.fail(error)
            raise


FOXGLOVE = SinkKind(
    open=lambda address, _overlay: FoxgloveServerSink(address), example="foxglove://HOST:PORT"
)
MCAP = SinkKind(open=lambda path, _overlay: FoxgloveFileSink(Path(path)), example="FILE.mcap")
