"""Recorded streams merged by stamp."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from fusion_core.errors import FusionError, SourceError
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.drop_log import DropLog
from fusion_core.source.base import RecordedStream, already_read
from fusion_core.types import Frame, Modality

_JUMP_BACK_NS = 1_000_000_000


class RecordedSource(Closable):
    """Files read as fast as the reader takes them; see ``Source``.

    A torn stream ends like a short one; its error is raised when all others have ended too.

    Args:
        streams: The inputs; each may carry one or both modalities.
    """

    live = False

    def __init__(self, streams: Sequence[RecordedStream]) -> None:
        self.drop_log = DropLog()
        self._streams = tuple(streams)
        for stream in self._streams:
            stream.drop_log.forward_to(self.drop_log)
        self._read: Counter[Modality] = Counter()
        self._errors: list[FusionError] = []
        self._offsets: Mapping[Modality, int | None] = {}
        self._started = self._closed = False
        self.total = next((s.total for s in streams if s.total is not None), None)

    @property
    def read(self) -> Mapping[Modality, int]:
        """Frames given so far, per stream."""
        return dict(self._read)

    def set_offsets(self, offsets_ns: Mapping[Modality, int | None]) -> None:
        """Set what is added to stamps before streams are merged; before ``frames``.

        Args:
            offsets_ns: By stream, in nanoseconds; None where it is to be measured: the streams
                then begin at the same moment.
        """
        self._offsets = offsets_ns

    def frames(self) -> Iterator[Frame]:
        """Iterate over all streams merged by stamp; call once.

        Streams whose clocks differ, by what lies between stamp and reception, are merged by
        reception: by their stamps one would be held back until the other had ended.

        Raises:
            SourceError: An input is torn; every good frame of every stream has been given.
            UsageError: It was called before.
        """
        if self._started:
            raise already_read("recording")
        self._started = True
        opened = [self._opened(stream) for stream in self._streams]
        shifts = merge_shifts([first for first, _ in opened], self._offsets)
        keyed = [self._keyed(rest, shift) for (_, rest), shift in zip(opened, shifts, strict=True)]
        for _, frame in heapq.merge(*keyed, key=lambda entry: entry[0]):
            if self._closed:
                return
            self._read[frame.modality] += 1
            yield frame
        if self._errors:
            raise SourceError("; ".join(str(error) for error in self._errors))

    def close(self) -> None:
        """Release all inputs."""
        self._closed = True
        for stream in self._streams:
            stream.close()

    def _opened(self, stream: RecordedStream) -> tuple[Frame | None, Iterator[Frame]]:
        """Return the first frame, None where there is none, and all frames."""
        frames = self._guarded(stream)
        first = next(frames, None)
        return first, frames if first is None else chain((first,), frames)

    def _guarded(self, stream: RecordedStream) -> Iterator[Frame]:
        """Yield frames; an error ends the stream and is kept for the end."""
        try:
            yield from stream.frames()
        except FusionError as error:
            self._errors.append(error)
        except Exception as error:  # noqa: BLE001 - the other streams go on; raised at the end
            self._errors.append(
                SourceError(
                    f"an input of the recording stopped ({type(error).__name__}: {error}); "
                    "the frames before were used: check the file"
                )
            )

    def _keyed(self, frames: Iterator[Frame], shift: int) -> Iterator[tuple[int, Frame]]:
        """Yield frames with a sort key that keeps growing where a clock was set back.

        Without it the merge would hold one stream back until the other's stamps reach the old
        time again, and pairs on both sides of the jump would be lost.
        """
        offset, step = shift, 0
        last: int | None = None
        for frame in frames:
            key = frame.stamp_ns + offset
            if last is not None:
                if key < last - _JUMP_BACK_NS:
                    offset += last + step - key
                    key = last + step
                step = key - last
            last = key
            yield key, frame


def merge_shifts(
    first: Sequence[Frame | None], offsets_ns: Mapping[Modality, int | None]
) -> list[int]:
    """Return what is added to the stamps of each stream to merge them, in nanoseconds.

    Args:
        first: First frame of each stream, None where there is none.
        offsets_ns: By stream; None where it is to be measured.
    """
    shifts = [0 if frame is None else offsets_ns.get(frame.modality) or 0 for frame in first]
    frames = [frame for frame in first if frame is not None]
    if len(frames) < 2:
        return shifts
    received = [frame.received_ns for frame in frames if frame.received_ns is not None]
    if len(received) == len(frames):
        lags = [
            frame.received_ns - frame.stamp_ns - shift
            for frame, shift in zip(first, shifts, strict=True)
            if frame is not None and frame.received_ns is not None
        ]
        if max(lags) - min(lags) <= _JUMP_BACK_NS:
            return shifts
        return [
            0 if frame is None or frame.received_ns is None else frame.received_ns - frame.stamp_ns
            for frame in first
        ]
    if None in offsets_ns.values():
        return [0 if frame is None else -frame.stamp_ns for frame in first]
    return shifts
