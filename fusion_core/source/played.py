"""Recordings played in real time, as cameras would send them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs

from fusion_core.errors import UsageError
from fusion_core.runtime.drop_log import DropLog
from fusion_core.source.base import InputEnded, SourceKind
from fusion_core.source.recorded import RecordedSource
from fusion_core.types import Frame, Modality

_SCHEME: Final = "play://"
_NS: Final = 1_000_000_000
_PATIENCE_S: Final = 0.1


class PlayedStream:
    """One recorded input as a live one; see ``FrameReader``.

    Every frame comes when its stamp is due, with the stamp that it has in the recording. One that
    is long overdue is lost (``queue_full``), as that of a camera is. ``play://FILE`` plays a video
    or a folder of images once; ``play://FILE?loop=1`` again and again, with stamps that go on.

    Args:
        address: ``play://FILE``.
        modalities: What it shows: one.

    Raises:
        UsageError: The file does not exist, or it is asked for both streams.
        SourceError: It cannot be read.
    """

    def __init__(self, address: str, modalities: tuple[Modality, ...]) -> None:
        path, _, query = address.removeprefix(_SCHEME).partition("?")
        options = parse_qs(query)
        if len(modalities) != 1 or set(options) - {"loop"}:
            raise UsageError(
                f"{address}: expected play://FILE or play://FILE?loop=1, one for each stream"
            )
        self.name = address
        self.drop_log = DropLog()
        self._path, self._modality = path, modalities[0]
        self._loop = options.get("loop", ["0"])[0] != "0"
        self._source = self._open()
        self._frames = self._played()
        self._next: Frame | None = None
        self._start_s: float | None = None
        self._first_ns = 0

    @property
    def first_ns(self) -> int | None:
        """Stamp of the next frame in nanoseconds, None at the end."""
        if self._next is None:
            self._next = next(self._frames, None)
        return None if self._next is None else self._next.stamp_ns

    def begin(self, start_s: float, first_ns: int) -> None:
        """Say when a stamp is due.

        Args:
            start_s: Time of ``time.monotonic``.
            first_ns: Stamp that is due then.
        """
        self._start_s, self._first_ns = start_s, first_ns

    def read(self, timeout_s: float) -> Frame | None:
        """Wait until the next frame is due.

        Raises:
            InputEnded: The recording is at its end.
            SourceError: It is torn.
        """
        stamp_ns = self.first_ns
        if stamp_ns is None or self._next is None:
            raise InputEnded(self.name)
        if self._start_s is None:
            self.begin(time.monotonic(), stamp_ns)
        wait_s = self._due_s(stamp_ns) - time.monotonic()
        time.sleep(max(0.0, min(wait_s, timeout_s)))
        if wait_s > timeout_s:
            return None
        frame, self._next = self._next, None
        if wait_s < -_PATIENCE_S:
            self.drop_log.record_drop(frame.modality, "queue_full", stamp_ns)
            return None
        return replace(frame, received_ns=time.time_ns())

    def _due_s(self, stamp_ns: int) -> float:
        assert self._start_s is not None, "it has begun"
        return self._start_s + (stamp_ns - self._first_ns) / _NS

    def _open(self) -> RecordedSource:
        """Open the recording; its decoder is loaded for those that play one."""
        from fusion_core.source.image_files import is_image_input
        from fusion_core.source.images import ImageStream, time_images
        from fusion_core.source.video import VideoStream

        if is_image_input(self._path):
            (images,) = time_images([self._path], relative=True)
            return RecordedSource([ImageStream(images, self._modality)])
        if not Path(self._path).is_file():
            raise UsageError(
                f"{self.name}: {self._path} does not exist; give a video or a folder of images"
            )
        return RecordedSource([VideoStream(Path(self._path), self._modality)])

    def close(self) -> None:
        """Release the recording."""
        self._source.close()

    def _played(self) -> Iterator[Frame]:
        """Yield the frames of the recording, again from its beginning where it is a loop."""
        later_ns = 0
        while True:
            first_ns = last_ns = period_ns = None
            self._source.drop_log.forward_to(self.drop_log)
            for frame in self._source.frames():
                if last_ns is not None:
                    period_ns = frame.stamp_ns - last_ns
                last_ns = frame.stamp_ns
                first_ns = last_ns if first_ns is None else first_ns
                yield replace(frame, stamp_ns=last_ns + later_ns)
            if not self._loop or first_ns is None or last_ns is None or period_ns is None:
                return
            later_ns += last_ns + period_ns - first_ns
            self._source.close()
            self._source = self._open()


def play_together(streams: Sequence[PlayedStream]) -> None:
    """Let the streams of one recording begin together, the later one by as much as it is later."""
    stamps = [stream.first_ns for stream in streams]
    first_ns = min((stamp for stamp in stamps if stamp is not None), default=0)
    now_s = time.monotonic()
    for stream in streams:
        stream.begin(now_s, first_ns)


PLAY = SourceKind(open=PlayedStream, example="play://FILE", live=True)
