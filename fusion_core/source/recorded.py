"""Recorded streams merged by stamp."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain

from fusion_core.errors import FusionError, SourceError
from fusion_core.runtime.closable import Closable
from fusion_core.runtime.drop_log import DropLog
from fusion_core.source.ahead import StreamAhead
from fusion_core.source.base import RecordedStream, already_read
from fusion_core.types import Frame, Modality

_JUMP_BACK_NS = 1_000_000_000


class RecordedSource(Closable):
    """Files read as fast as the reader takes them; see ``Source``.

    Each input is decoded in a thread of its own, some frames ahead.
    A torn stream ends like a short one; its error is raised when all others have ended too.

    Args:
        streams: The inputs; each may carry one or both modalities.
    """

    live = False

    def __init__(self, streams: Sequence[RecordedStream]) -> None:
        self.drop_log = DropLog()
        self._streams = tuple(streams)
        self._ahead = [StreamAhead(stream, self.drop_log) for stream in self._streams]
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

    def transforms(self) -> Iterator[object]:
        """Yield the ``tf2_msgs/TFMessage`` of ``/tf_static`` that the recording holds."""
        for stream in self._streams:
            found = getattr(stream, "transforms", None)
            if found is not None:
                yield from found()
                return

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
        opened = [self._opened(stream) for stream in self._ahead]
        key_of = merge_order([first for first, _ in opened], self._offsets)
        keyed = [self._keyed(frames, key_of) for _, frames in opened]
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
        for stream in self._ahead:
            stream.close()

    def _opened(self, stream: StreamAhead) -> tuple[Frame | None, Iterator[Frame]]:
        """Return the first frame, None where there is none, and all frames."""
        frames = self._guarded(stream)
        first = next(frames, None)
        return first, frames if first is None else chain((first,), frames)

    def _guarded(self, stream: StreamAhead) -> Iterator[Frame]:
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

    def _keyed(
        self, frames: Iterator[Frame], key_of: Callable[[Frame], int]
    ) -> Iterator[tuple[int, Frame]]:
        """Yield frames with a sort key that keeps growing where a clock was set back.

        Without it the merge would hold one stream back until the other's stamps reach the old
        time again, and pairs on both sides of the jump would be lost.
        """
        offset = step = 0
        last: int | None = None
        for frame in frames:
            key = key_of(frame) + offset
            if last is not None:
                if key < last - _JUMP_BACK_NS:
                    offset += last + step - key
                    key = last + step
                step = key - last
            last = key
            yield key, frame


def merge_order(
    first: Sequence[Frame | None], offsets_ns: Mapping[Modality, int | None]
) -> Callable[[Frame], int]:
    """Return by which time the frames of all streams are merged, in nanoseconds.

    Args:
        first: First frame of each stream, None where there is none.
        offsets_ns: What is added to stamps, by stream; None where it is to be measured.
    """

    def by_stamp(frame: Frame) -> int:
        return frame.stamp_ns + (offsets_ns.get(frame.modality) or 0)

    def by_reception(frame: Frame) -> int:
        return by_stamp(frame) if frame.received_ns is None else frame.received_ns

    frames = [frame for frame in first if frame is not None]
    lags = [
        frame.received_ns - by_stamp(frame) for frame in frames if frame.received_ns is not None
    ]
    if lags and len(lags) == len(frames):
        return by_reception if max(lags) - min(lags) > _JUMP_BACK_NS else by_stamp
    if None in offsets_ns.values():
        starts = {frame.modality: frame.stamp_ns for frame in frames}
        return lambda frame: frame.stamp_ns - starts.get(frame.modality, 0)
    return by_stamp
