"""Network cameras and streams that FFmpeg can open, as live inputs."""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Iterator

import av
from av.container import InputContainer
from av.error import ExitError, FFmpegError

from fusion_core.errors import SourceError
from fusion_core.runtime.drop_log import DropLog
from fusion_core.source.base import SourceKind
from fusion_core.source.containers import open_address
from fusion_core.source.decoding import decode_pictures, nanoseconds
from fusion_core.source.picture_pixels import choose_converter
from fusion_core.types import Frame, Modality

_log = logging.getLogger(__name__)
_NS = 1_000_000_000
_TIMEOUT_S = 5.0
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 5.0
_MOST_DAMAGED_FIRST = 8
_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")


class NetworkReader:
    """One stream of a camera or server on the network as a live input; see ``FrameReader``.

    It connects when it is first read, and again whenever the connection ends or is silent; a
    recording of known length is read once. Frames
    are stamped with the system clock, evened out by the sender's own times; their numbers grow
    over all connections.

    Args:
        url: ``rtsp://``, ``udp://``, ``tcp://``, ``http://``, ``rtmp://`` or ``srt://`` address.
        modality: What the stream shows.
    """

    def __init__(self, url: str, modality: Modality) -> None:
        self.name = _PASSWORD.sub(r"\1:***@", url)
        self.drop_log = DropLog()
        self._url = url
        self._modality: Modality = modality
        self._container: InputContainer | None = None
        self._frames: Iterator[Frame] = iter(())
        self._wait_s = _FIRST_WAIT_S
        self._retry_at = 0.0
        self._count = 0
        self._lost = False
        self._closed = False
        self._strict = True
        self._damaged_first: int | None = 0  # before the first whole picture, None after

    def read(self, timeout_s: float) -> Frame | None:
        """Wait for the next frame; connecting may take longer than the given time.

        Raises:
            SourceError: The address holds nothing that can be decoded here, or a recording that has
                ended.
        """
        left_s = self._retry_at - time.monotonic()
        if left_s > 0:
            time.sleep(min(left_s, timeout_s))
            return None
        try:
            if self._container is None:
                self._connect()
            frame = next(self._frames, None)
        except ExitError:
            self._disconnect(f"no data for {_TIMEOUT_S:g} s")
            return None
        except (FFmpegError, OSError) as error:
            self._disconnect(str(getattr(error, "strerror", None) or error))
            return None
        if frame is None and self._nothing_whole():
            self._strict, self._damaged_first = False, None
            self._disconnect("every picture is damaged: decoding them as players do")
            return None
        if frame is None:
            self._require_endless()
            self._disconnect("the sender has ended the stream")
            return None
        if self._lost:
            self._lost = False
            _log.warning("%s: connected again", self.name)
        self._wait_s = _FIRST_WAIT_S
        return frame

    def close(self) -> None:
        """Disconnect; may be called twice, from the thread that reads."""
        self._closed = True
        if self._container is not None:
            self._container.close()
            self._container = None

    def _require_endless(self) -> None:
        """Raise where the stream has ended because it was a recording."""
        if self._container is not None and (self._container.duration or 0) > 0:
            raise SourceError(
                f"{self.name}: the recording ended after {self._count} frames; give the file "
                "itself to read every frame"
            )

    def _connect(self) -> None:
        self._container, video = open_address(self._url, self.name, _TIMEOUT_S, strict=self._strict)
        self._frames = self._decode(self._container, video)

    def _disconnect(self, reason: str) -> None:
        """Release the connection and try again later, each time a little later."""
        if self._container is not None:
            self._container.close()
            self._container = None
        if not self._lost:
            self._lost = True
            _log.warning(
                "%s: no connection (%s); trying again until it is back: check that the sender "
                "runs and can be reached",
                self.name,
                reason,
            )
        self._retry_at = time.monotonic() + self._wait_s
        self._wait_s = min(2 * self._wait_s, _LONGEST_WAIT_S)

    def _decode(self, container: InputContainer, video: av.VideoStream) -> Iterator[Frame]:
        codec = video.codec_context.codec
        clock = ArrivalClock()
        convert = None
        pictures = decode_pictures(
            container, video, self._record_damage, lambda: self._closed or self._nothing_whole()
        )
        for picture in pictures:
            arrival_ns = time.time_ns()
            if convert is None:
                convert = choose_converter([picture], self._modality, packed_counts=False)
            image, encoding = convert(picture)
            self._damaged_first = None
            self._count += 1
            yield Frame(
                clock.stamp(arrival_ns, nanoseconds(picture)),
                self._modality,
                image,
                encoding,
                sequence=self._count - 1,
                predicted=codec.lossy and not codec.intra_only,
            )

    def _nothing_whole(self) -> bool:
        """Return whether all pictures since the start are damaged, as some encoders make them."""
        return self._strict and (self._damaged_first or 0) >= _MOST_DAMAGED_FIRST

    def _record_damage(self, _reason: str, _stamp_ns: int | None) -> None:
        self.drop_log.record_drop(self._modality, "corrupt")
        if self._damaged_first is not None:
            self._damaged_first += 1


class ArrivalClock:
    """Stamps on the system clock from arrival times, without the jitter of the way.

    A picture that was less delayed than all others of the last seconds tells how the sender's
    clock lies to this one; the others keep the sender's distances.
    """

    _WINDOW = 100  # pictures
    _JUMP_NS = _NS  # the sender's clock was set, or this is another sender

    def __init__(self) -> None:
        self._offsets: deque[int] = deque(maxlen=self._WINDOW)
        self._last_ns = 0

    def stamp(self, arrival_ns: int, sent_ns: int | None) -> int:
        """Return when a picture was sent, later than the one before, in system time."""
        stamp_ns = arrival_ns
        if sent_ns is not None:
            offset = arrival_ns - sent_ns
            if self._offsets and abs(offset - min(self._offsets)) > self._JUMP_NS:
                self._offsets.clear()
            self._offsets.append(offset)
            stamp_ns = sent_ns + min(self._offsets)
        self._last_ns = max(stamp_ns, self._last_ns + 1)
        return self._last_ns


NETWORK = SourceKind(
    open=lambda address, modalities: NetworkReader(address, modalities[0]),
    example="rtsp://host/stream (or udp, tcp, http, https, rtmp, srt)",
    live=True,
)
