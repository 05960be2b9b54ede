"""Video files through PyAV."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import av
from av.error import FFmpegError

from fusion_core.errors import SourceError
from fusion_core.runtime.drop_log import DropLog
from fusion_core.source.containers import open_file
from fusion_core.source.decoding import decode_pictures, nanoseconds
from fusion_core.source.picture_pixels import choose_converter
from fusion_core.types import Frame, Modality

_log = logging.getLogger(__name__)
_NS = 1_000_000_000
_PROBE_FRAMES = 8
_END_TOLERANCE_FRAMES = 3


class VideoStream:
    """One video file as one camera stream; see ``RecordedStream``.

    Stamps are the frames' presentation times. Pictures are turned as the file says. A thermal
    video that shows gray is given as ``mono8`` luma, one of more than 8 bits as ``mono16``, a
    colour-mapped one as ``rgb8``. A damaged picture is left out and recorded as ``corrupt``.

    Args:
        path: Video file.
        modality: What the video shows.
        packed_counts: The two bytes per pixel of a YUYV thermal video are one 16-bit count.

    Attributes:
        path: The file.
        start_ns: Presentation time at which the video begins.

    Raises:
        SourceError: The file is no video, or its head is torn.
    """

    def __init__(self, path: Path, modality: Modality, *, packed_counts: bool = False) -> None:
        self.path = path
        self.drop_log = DropLog()
        self._modality: Modality = modality
        self._packed_counts = packed_counts
        self._closed = False
        self._container, self._video = open_file(path, strict=True)
        rate = self._video.average_rate or self._video.guessed_rate or Fraction(30)
        self._period = 1 / Fraction(rate)
        self._start = (self._video.start_time or 0) * (self._video.time_base or Fraction(1))
        self.start_ns = round(self._start * _NS)
        self._duration = self._expected_duration()
        self.total = self._expected_frames() if modality == "visible" else None
        self._given = self._left_out = 0
        self._damaged: list[tuple[str, int | None]] = []  # not yet followed by a good picture
        self._end = Fraction(0)

    def frames(self) -> Iterator[Frame]:
        """Decode frame by frame.

        Raises:
            SourceError: Nothing can be decoded up to the end that the file promises; every good
                frame has been given before.
        """
        codec = self._video.codec_context.codec
        predicted = codec.lossy and not codec.intra_only
        decoded = self._decode()
        first = list(islice(decoded, _PROBE_FRAMES))
        if len(self._damaged) > len(first):
            # Some encoders break the rules in every picture: decode as players do.
            decoded = self._decode_leniently()
            first = list(islice(decoded, _PROBE_FRAMES))
        if not first:
            raise self._torn("no picture can be decoded")
        convert = choose_converter(first, self._modality, packed_counts=self._packed_counts)
        for picture in chain(first, decoded):
            self._record_damage_before(picture)
            position = self._given + self._left_out
            stamp_ns = self._stamp(picture, position)
            image, encoding = convert(picture)
            self._given += 1
            self._end = self._shown_until(picture, position + 1)
            yield Frame(
                stamp_ns, self._modality, image, encoding, sequence=position, predicted=predicted
            )
        if not self._closed:
            self._check_end()
        self._record_damage_before(None)

    def close(self) -> None:
        """Close the file."""
        self._closed = True
        self._container.close()

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Yield whole pictures; keep what is damaged until a good picture follows."""
        try:
            yield from decode_pictures(
                self._container,
                self._video,
                lambda reason, stamp_ns: self._damaged.append((reason, stamp_ns)),
                lambda: self._closed,
            )
        except FFmpegError as error:
            self._damaged.append((str(error.strerror), None))

    def _decode_leniently(self) -> Iterator[av.VideoFrame]:
        """Start again, with the decoder patching up what it can."""
        self._container.close()
        self._container, self._video = open_file(self.path, strict=False)
        self._damaged.clear()
        return self._decode()

    def _record_damage_before(self, picture: av.VideoFrame | None) -> None:
        """Record what is damaged and shown before a picture, None: everything; log the first."""
        shown_ns = None if picture is None else nanoseconds(picture)
        waiting: list[tuple[str, int | None]] = []
        for reason, stamp_ns in self._damaged:
            if stamp_ns is not None and shown_ns is not None and stamp_ns > shown_ns:
                waiting.append((reason, stamp_ns))
                continue
            if not self._left_out:
                _log.warning(
                    "%s: frame %d is damaged (%s) and left out, as every further one will be; "
                    "those up to the next key frame may show traces: copy the file again, or "
                    "repair it with ffmpeg",
                    self.path,
                    self._given,
                    reason,
                )
            self._left_out += 1
            self.drop_log.record_drop(self._modality, "corrupt", stamp_ns)
        self._damaged = waiting

    def _check_end(self) -> None:
        """Raise where the file ends before its time."""
        reason = self._damaged[-1][0] if self._damaged else ""
        if self._end + _END_TOLERANCE_FRAMES * self._period < self._duration:
            end, whole = float(self._end), float(self._duration)
            raise self._torn(reason or f"it ends after {end:.2f} s of {whole:.2f} s")
        if reason and not self._duration:
            raise self._torn(reason)

    def _torn(self, reason: str) -> SourceError:
        position = self._given + self._left_out
        return SourceError(
            f"{self.path}: torn at frame {position} ({reason}); the frames before were used: copy "
            "the file again, or repair it with ffmpeg"
        )

    def _stamp(self, picture: av.VideoFrame, position: int) -> int:
        shown_ns = nanoseconds(picture)
        return round(position * self._period * _NS) if shown_ns is None else shown_ns

    def _shown_until(self, picture: av.VideoFrame, count: int) -> Fraction:
        """Return when a picture stops being shown, in seconds from the stream's start."""
        if picture.pts is None or picture.time_base is None:
            return count * self._period
        shown = max(picture.duration * picture.time_base, self._period)
        return picture.pts * picture.time_base - self._start + shown

    def _expected_duration(self) -> Fraction:
        """Return the length the head promises in seconds, 0 when it promises none."""
        if self._video.duration is not None and self._video.time_base is not None:
            return self._video.duration * self._video.time_base
        # Without a length of its own, the file's is the video's only if nothing else is in it.
        if self._container.duration is None or len(self._container.streams) > 1:
            return Fraction(0)
        duration = Fraction(self._container.duration, av.time_base)
        # Matroska counts from zero, not from where the stream begins.
        late = self._start if "matroska" in self._container.format.name else Fraction(0)
        return max(Fraction(0), duration - max(late, Fraction(0)))

    def _expected_frames(self) -> int | None:
        return self._video.frames or round(self._duration / self._period) or None
