"""Recording of the stream to a file, by a thread of its own that the stream never waits for."""

from __future__ import annotations

import logging
import queue
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from fusion_core.errors import FusionError, SinkError
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.process import BackgroundThread
from fusion_core.sink import Sink, open_sink
from fusion_core.types import FusedFrame

_log = logging.getLogger(__name__)
_WAITING: Final = 30  # results that wait for a slow disk; later ones are left out and counted
_JOIN_S: Final = 20.0


class Recorder(Closable):
    """Records results as Matroska, which plays up to its last moment whatever happens.

    Methods are called from any thread.

    Args:
        folder: Where to; made with the first recording.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._take: _Take | None = None

    @property
    def running(self) -> bool:
        """Whether results are being recorded."""
        return self._take is not None and self._take.open

    def start(self) -> Path:
        """Begin a recording under a name that no file has, unless one is under way.

        Raises:
            SinkError: The file cannot be made.
        """
        with self._lock:
            if self._take is None or not self._take.open:
                path = _new_file(self._folder)
                self._take = _Take(path, open_sink(str(path)))
            return self._take.path

    def stop(self) -> None:
        """End the recording, and wait until the file is whole."""
        with self._lock:
            if self._take is not None:
                self._take.end()

    def offer(self, fused: FusedFrame) -> None:
        """Take a result, where one is being recorded; never waits."""
        take = self._take
        if take is not None and take.open:
            take.offer(fused)

    def state(self) -> dict[str, Any]:
        """Return what the page shows: ``on``, ``file``, ``frames``, ``left_out``, ``problem``."""
        take = self._take
        if take is None:
            return {"on": False, "file": "", "frames": 0, "left_out": 0, "problem": ""}
        return {
            "on": take.open,
            "file": str(take.path) if take.open or take.frames else "",  # an empty one is removed
            "frames": take.frames,
            "left_out": take.left_out,
            "problem": take.problem,
        }

    def close(self) -> None:
        """End the recording."""
        self.stop()


class _Take:
    """One recording."""

    def __init__(self, path: Path, sink: Sink) -> None:
        self.path = path
        self.open = True
        self.frames = self.left_out = 0
        self.problem = ""
        self._sink = sink
        self._waiting: queue.Queue[FusedFrame | None] = queue.Queue(_WAITING)
        self._thread = BackgroundThread(self._write, "recorder")
        self._thread.start()

    def offer(self, fused: FusedFrame) -> None:
        try:
            self._waiting.put_nowait(fused)
        except queue.Full:
            self.left_out += 1

    def end(self) -> None:
        self.open = False
        with suppress(queue.Full):
            self._waiting.put(None, timeout=_JOIN_S)
        self._thread.join(_JOIN_S)

    def _write(self) -> None:
        try:
            while (fused := self._waiting.get()) is not None:
                self._sink.write(fused)
                self.frames += 1
        except Exception as error:  # noqa: BLE001 - the stream goes on without the recording
            self._fail(error)
        try:
            self._sink.close()
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self.open = False
        self._waiting = queue.Queue()  # whoever ends it now need not wait
        self.problem = str(error) if isinstance(error, FusionError) else f"{error!r}"
        _log.warning("recording ended: %s", self.problem)


def _new_file(folder: Path) -> Path:
    """Create an empty file named by the time of day, never one that is there already.

    Raises:
        SinkError: It cannot be made.
    """
    name = time.strftime("fused-%Y%m%d-%H%M%S")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            path = folder / f"{name}{'' if number == 1 else f'-{number}'}.mkv"
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                continue
            return path
    except OSError as error:
        raise SinkError(
            f"{folder}: a recording cannot be made there ({error.strerror}); set view.folder"
        ) from None
    raise SinkError(f"{folder}: too many recordings of one second; wait a moment")
