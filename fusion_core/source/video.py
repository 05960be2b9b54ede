"""Video files through PyAV."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from fusion_core.errors import SourceError
from fusion_core.runtime.drop_log import DropLog
from fusion_core.transport.image_codec import is_gray
from fusion_core.types import Frame, Modality

_NS = 1_000_000_000
_PROBE_FRAMES = 8
_END_TOLERANCE_FRAMES = 3


class VideoStream:
    """One video file as one camera stream; see ``RecordedStream``.

    Stamps are the frames' presentation times. A thermal video that shows gray is given as
    ``mono8`` luma, a 16-bit gray one as ``mono16``, a colour-mapped one as ``rgb8``.

    Args:
        path: Video file.
        modality: What the video shows.

    Raises:
        SourceError: The file is no video, or its head is torn.
    """

    def __init__(self, path: Path, modality: Modality) -> None:
        self.drop_log = DropLog()
        self._path = path
        self._modality: Modality = modality
        try:
            self._container = av.open(str(path))
        except FFmpegError as error:
            raise SourceError(
                f"{path}: cannot be opened as a video ({error.strerror}); it is cut off or of an "
                "unknown kind: copy it again, or convert it with ffmpeg"
            ) from None
        if not self._container.streams.video:
            self._container.close()
            raise SourceError(f"{path}: holds no video stream; give a video file")
        self._video = self._container.streams.video[0]
        rate = self._video.average_rate or self._video.guessed_rate or Fraction(30)
        self._period = 1 / Fraction(rate)
        self._duration = self._expected_duration()
        self.total = self._expected_frames() if modality == "visible" else None

    def frames(self) -> Iterator[Frame]:
        """Decode frame by frame.

        Raises:
            SourceError: The file is torn; every good frame has been given before.
        """
        decoded = self._decode()
        first: list[av.VideoFrame] = []
        broken: SourceError | None = None
        try:
            # A tear this early must not cost the frames before it: extend keeps them.
            first.extend(islice(decoded, _PROBE_FRAMES))
        except SourceError as error:
            broken = error
        layout = self._layout(first)
        codec = self._video.codec_context.codec
        predicted = codec.lossy and not codec.intra_only
        for index, picture in enumerate(chain(first, decoded)):
            image, encoding = self._convert(picture, layout)
            yield Frame(
                self._stamp(picture, index),
                self._modality,
                image,
                encoding,
                sequence=index,
                predicted=predicted,
            )
        if broken is not None:
            raise broken

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Yield whole pictures, then raise if the file holds fewer than its head promises."""
        index = 0
        end = Fraction(0)
        try:
            for picture in self._container.decode(self._video):
                if picture.is_corrupt:
                    raise self._torn(index, "the picture is damaged")
                yield picture
                index += 1
                end = self._end(picture, index)
        except FFmpegError as error:
            raise self._torn(index, str(error.strerror)) from None
        if not index:
            raise self._torn(index, "no picture can be decoded")
        if end + _END_TOLERANCE_FRAMES * self._period < self._duration:
            raise self._torn(
                index, f"it ends after {float(end):.2f} s of {float(self._duration):.2f} s"
            )

    def _torn(self, index: int, reason: str) -> SourceError:
        return SourceError(
            f"{self._path}: torn at frame {index} ({reason}); the frames before were used: copy "
            "the file again, or repair it with ffmpeg"
        )

    def _layout(self, first: list[av.VideoFrame]) -> str:
        """Choose the pixel format to decode to."""
        if self._modality == "visible":
            return "rgb24"
        native = self._video.format
        if native is not None and native.name.startswith("gray"):
            return native.name if native.components[0].bits > 8 else "gray"
        return "gray" if all(is_gray(p.to_ndarray(format="rgb24")) for p in first) else "rgb24"

    def _convert(self, picture: av.VideoFrame, layout: str) -> tuple[NDArray[Any], str]:
        image = picture.to_ndarray(format=layout)
        if layout == "rgb24":
            return image, "rgb8"
        if layout == "gray":
            return image, "mono8"
        return image.astype(np.uint16, copy=False), "mono16"

    def _stamp(self, picture: av.VideoFrame, index: int) -> int:
        if picture.pts is None or picture.time_base is None:
            return round(index * self._period * _NS)
        return round(picture.pts * picture.time_base * _NS)

    def _end(self, picture: av.VideoFrame, count: int) -> Fraction:
        """Return when a picture stops being shown, in seconds from the stream's start."""
        if picture.pts is None or picture.time_base is None:
            return count * self._period
        start = self._video.start_time or 0
        shown = max(picture.duration * picture.time_base, self._period)
        return (picture.pts - start) * picture.time_base + shown

    def _expected_duration(self) -> Fraction:
        """Return the length the head promises in seconds, 0 when it promises none."""
        if self._video.duration is not None and self._video.time_base is not None:
            return self._video.duration * self._video.time_base
        # Without a length of its own, the file's is the video's only if nothing else is in it.
        if self._container.duration is not None and len(self._container.streams) == 1:
            return Fraction(self._container.duration, av.time_base)
        return Fraction(0)

    def _expected_frames(self) -> int | None:
        return self._video.frames or round(self._duration / self._period) or None
