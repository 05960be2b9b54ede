"""Video files through PyAV."""

from __future__ import annotations

import logging
from contextlib import suppress
from errno import EINVAL
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace

from fusion_core.drawing import draw_detections
from fusion_core.errors import SinkError
from fusion_core.sink.base import Sink, SinkKind, make_folder
from fusion_core.types import FusedFrame, UInt8Image

_log = logging.getLogger(__name__)
_NS = 1_000_000_000
_TICKS = 90_000
_FIRST_PERIOD = _TICKS // 30
_LONGEST_GAP = 3600 * _TICKS
# Pictures in order: the fragments of MP4 cannot say that the first is shown later.
_CODEC = {"preset": "veryfast", "crf": "18", "bf": "0"}
# What a killed process has written must be playable: a cluster or fragment twice a second, every
# packet handed to the system at once. MP4 becomes an ordinary file when it is closed.
_PROMPT_FILE = {
    ".mkv": {"cluster_time_limit": "500", "flush_packets": "1"},
    ".mp4": {"movflags": "hybrid_fragmented", "frag_duration": "500000", "flush_packets": "1"},
}
# Matroska is for recording: no pictures are kept back by the encoder either.
_PROMPT_CODEC = _CODEC | {"tune": "zerolatency"}


class VideoSink(Sink):
    """Write H.264 in MP4 or Matroska, with the frames' own timing.

    The first frame sets the size; later ones of another size are letterboxed into it. When the
    process is killed, Matroska can be played up to the last half second; MP4 lacks what the encoder
    held back as well, up to about two seconds in all.

    Args:
        path: ``.mp4`` or ``.mkv`` file; an old one is replaced.
        overlay: Whether to draw the detections.

    Raises:
        SinkError: It cannot be created.
    """

    def __init__(self, path: Path, *, overlay: bool = False) -> None:
        self.path: Path = path
        make_folder(path.parent)
        self._prompt = path.suffix != ".mp4"
        options = _PROMPT_FILE[".mkv" if self._prompt else ".mp4"]
        try:
            # PyAV creates the file with the first frame; find out now whether it can be.
            _require_regular(path)
            path.open("ab").close()
            # FFmpeg takes an absolute path for a file whatever the name looks like.
            self._container = av.open(str(path.absolute()), "w", options=options)
        except (FFmpegError, OSError) as error:
            raise self._failed(error) from None
        self._overlay = overlay
        self._stream: av.VideoStream | None = None
        self._size = (0, 0)
        self._clock = PresentationClock()
        self._closed = False
        self._broken = False
        self._resized = False

    def write(self, fused: FusedFrame) -> None:
        """Encode one frame."""
        image = draw_detections(fused.image, fused.detections) if self._overlay else fused.image
        height, width = image.shape[:2]
        if self._stream is None:
            self._size = (height, width)
            self._stream = self._add_stream(height, width)
        elif (height, width) != self._size and not self._resized:
            self._resized = True
            _log.warning(
                "%s: frames changed from %dx%d to %dx%d; they are letterboxed to the first size",
                self.path,
                *self._size[::-1],
                width,
                height,
            )
        picture = av.VideoFrame.from_ndarray(_make_even(letterbox(image, *self._size)))
        picture.pts = self._clock.ticks(fused.stamp_ns)
        picture.time_base = Fraction(1, _TICKS)
        # rgb24 from numpy carries no matrix; name it, or players of HD guess another one.
        yuv = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
        try:
            self._container.mux(self._stream.encode(yuv))
        except (FFmpegError, OSError) as error:
            self._broken = True
            raise self._failed(error) from None

    def close(self) -> None:
        """Write what the encoder still holds and the file's index."""
        if self._closed:
            return
        self._closed = True
        try:
            self._finish()
        except (FFmpegError, OSError) as error:
            with suppress(FFmpegError, OSError):
                self._container.close()
            if not self._broken:
                raise self._failed(error) from None
        if self._stream is None and self.path.stat().st_size == 0:
            self.path.unlink()

    def _finish(self) -> None:
        if self._stream is not None and not self._broken:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def _add_stream(self, height: int, width: int) -> av.VideoStream:
        codec = _PROMPT_CODEC if self._prompt else _CODEC
        stream = self._container.add_stream("libx264", options=codec)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, _TICKS)
        stream.codec_context.framerate = Fraction(30)
        stream.codec_context.colorspace = Colorspace.ITU709
        stream.codec_context.color_range = ColorRange.MPEG
        return stream

    def _failed(self, error: Exception) -> SinkError:
        reason = getattr(error, "strerror", None) or error
        return SinkError(
            f"{self.path}: cannot be written ({reason}); what was written before is kept: make "
            "room or choose another place"
        )


def _require_regular(path: Path) -> None:
    """Raise an OSError for a pipe or device, which could be waited for without end."""
    if path.exists() and not path.is_file():
        raise OSError(EINVAL, "it exists and is no file")


class PresentationClock:
    """Turn capture stamps into strictly growing presentation times.

    Where a clock was set back, or forth by more than an hour, time goes on after one more period.
    """

    def __init__(self) -> None:
        self._origin_ns = 0
        self._offset = 0
        self._last = -1
        self._period = _FIRST_PERIOD

    def ticks(self, stamp_ns: int) -> int:
        """Return the presentation time of a frame in 1/90000 s from the first frame's."""
        if self._last < 0:
            self._origin_ns = stamp_ns
            self._last = 0
            return 0
        now = ((stamp_ns - self._origin_ns) * _TICKS + _NS // 2) // _NS + self._offset
        gap = now - self._last
        if 0 < gap < _LONGEST_GAP:
            self._period = gap
        else:
            self._offset += self._period - gap
            now = self._last + self._period
        self._last = now
        return now


def letterbox(image: UInt8Image, height: int, width: int) -> UInt8Image:
    """Scale an ``HxWx3`` image into a size, with black bars where the shape differs."""
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return image
    scale = min(height / rows, width / columns)
    new_rows, new_columns = max(1, round(rows * scale)), max(1, round(columns * scale))
    scaled = cv2.resize(image, (new_columns, new_rows), interpolation=cv2.INTER_AREA)
    top, left = (height - new_rows) // 2, (width - new_columns) // 2
    bottom, right = height - new_rows - top, width - new_columns - left
    return np.asarray(
        cv2.copyMakeBorder(scaled, top, bottom, left, right, cv2.BORDER_CONSTANT), np.uint8
    )


def _make_even(image: UInt8Image) -> UInt8Image:
    """Repeat the last row or column where its count is odd, as halved chroma needs."""
    bottom, right = image.shape[0] % 2, image.shape[1] % 2
    if not (bottom or right):
        return image
    return np.asarray(
        cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE), np.uint8
    )


VIDEO = SinkKind(
    open=lambda path, overlay: VideoSink(Path(path), overlay=overlay),
    example="FILE.mp4 or FILE.mkv",
)
