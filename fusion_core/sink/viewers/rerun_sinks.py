"""Rerun: a live viewer, and recordings that it opens."""

from __future__ import annotations

import socket
import time
import uuid
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from fusion_core.errors import SinkError
from fusion_core.sink.base import Sink, SinkKind, create_recording
from fusion_core.sink.viewers.address import ViewerAddress
from fusion_core.sink.viewers.live import LiveViewerSink
from fusion_core.sink.viewers.rerun_layout import APPLICATION, blueprint
from fusion_core.sink.viewers.rerun_stream import RerunStream, import_rerun
from fusion_core.types import FusedFrame

_PORT: Final = 9876
_STORE_EVERY_S: Final = 1.0
_STORE_LIMIT_S: Final = 30.0
_PROBE_S: Final = 1.0
_RETRY_S: Final = 1.0
_SENT_S: Final = 0.5
_TIMED_OUT: Final = "timed out"


class RerunFileSink(Sink):
    """Write a recording with its layout; nothing is left out.

    What was written is handed to the system once a second, so that a process that is killed loses
    a second at most.

    Args:
        path: ``.rrd`` file to create.

    Raises:
        MissingExtraError: The package is not installed.
        SinkError: The file exists already or cannot be created.
    """

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        rerun = import_rerun(f"output {path}")
        create_recording(path).close()
        # Fewer and larger pieces than live: the index of a long recording stays small.
        batches = rerun.ChunkBatcherConfig(flush_tick=timedelta(seconds=_STORE_EVERY_S))
        self._recording = rerun.RecordingStream(APPLICATION, batcher_config=batches)
        self._recording.save(path, default_blueprint=blueprint())
        self._stream: RerunStream | None = RerunStream(rerun, self._recording)
        self._stored_at = time.monotonic()

    def write(self, fused: FusedFrame) -> None:
        """Add one result."""
        if self._stream is None:
            raise SinkError(f"{self.path}: is closed already; open a new recording")
        self._stream.log(fused)
        if time.monotonic() - self._stored_at >= _STORE_EVERY_S:
            self._store()
            self._stored_at = time.monotonic()

    def close(self) -> None:
        """Write what waits and the index; may be called twice."""
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                self._store()
            finally:
                self._recording.disconnect()

    def _store(self) -> None:
        try:
            self._recording.flush(timeout_sec=_STORE_LIMIT_S)
        except RuntimeError as error:
            raise SinkError(
                f"{self.path}: cannot be written ({error}); what was written before is kept: make "
                "room or choose another place"
            ) from None


class RerunViewerSink(LiveViewerSink):
    """Send results to a running viewer; connects again where it was away or is started anew.

    Args:
        url: ``rerun://HOST:PORT``; the loopback interface and port 9876 unless given.

    Raises:
        UsageError: The address is malformed.
        MissingExtraError: The package is not installed.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._address = ViewerAddress.parse(url, _PORT)
        self._rerun = import_rerun(f"output {url}")
        self._recording_id = uuid.uuid4()
        self._stream: RerunStream | None = None
        self._retry_at = 0.0
        self._start()

    def close(self) -> None:
        """Send the last result, for three seconds at most; may be called twice."""
        super().close()
        if self._worker.is_alive():
            # At the end of the process the package would wait, without end, for a viewer that
            # has stopped to read.
            self._rerun.unregister_shutdown()

    def _show(self, fused: FusedFrame) -> str:
        if self._stream is None and not self._connect():
            return "viewer_away"
        assert self._stream is not None
        self._stream.log(fused)
        return "" if self._sent() else "viewer_away"

    def _end(self) -> None:
        if self._stream is not None:
            self._disconnect()

    def _connect(self) -> bool:
        """Connect where somebody listens; the package itself would wait, and keep everything."""
        if time.monotonic() < self._retry_at:
            return False
        self._retry_at = time.monotonic() + _RETRY_S
        place = (self._address.host, self._address.port)
        try:
            socket.create_connection(place, _PROBE_S).close()
        except OSError:
            return False
        # The same recording again: what a viewer has of it is continued.
        self._recording = self._rerun.RecordingStream(APPLICATION, recording_id=self._recording_id)
        host = f"[{place[0]}]" if ":" in place[0] else place[0]
        self._recording.connect_grpc(
            f"rerun+http://{host}:{place[1]}/proxy", default_blueprint=blueprint()
        )
        self._stream = RerunStream(self._rerun, self._recording)
        return True

    def _sent(self) -> bool:
        """Wait until the result is on its way; False when the viewer was lost.

        So a slow viewer is never sent two. Meanwhile the stream goes on, and its results displace
        each other.
        """
        while True:
            try:
                self._recording.flush(timeout_sec=_SENT_S)
            except RuntimeError as error:
                if _TIMED_OUT in str(error):
                    continue
                self._disconnect()
                return False
            return True

    def _disconnect(self) -> None:
        self._stream = None
        with suppress(RuntimeError):
            self._recording.disconnect()


RERUN = SinkKind(
    open=lambda address, _overlay: RerunViewerSink(address), example="rerun://HOST:PORT"
)
RRD = SinkKind(open=lambda path, _overlay: RerunFileSink(Path(path)), example="FILE.rrd")
