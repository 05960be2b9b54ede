"""Recorded streams merged by stamp."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

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
        self._started = self._closed = False
        self.total = next((s.total for s in streams if s.total is not None), None)

    @property
    def read(self) -> Mapping[Modality, int]:
        """Frames given so far, per stream."""
        return dict(self._read)

    def frames(self) -> Iterator[Frame]:
        """Iterate over all streams merged by stamp; call once.

        Raises:
            SourceError: An input is torn; every good frame of every stream has been given.
            UsageError: It was called before.
        """
        if self._started:
            raise already_read("recording")
        self._started = True
        keyed = [self._keyed(stream) for stream in self._streams]
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

    def _keyed(self, stream: RecordedStream) -> Iterator[tuple[int, Frame]]:
        """Yield frames with a sort key that keeps growing where a clock was set back.

        Without it the merge would hold one stream back until the other's stamps reach the old
        time again, and pairs on both sides of the jump would be lost.
        """
        offset = step = 0
        last: int | None = None
        try:
            for frame in stream.frames():
                key = frame.stamp_ns + offset
                if last is not None:
                    if key < last - _JUMP_BACK_NS:
                        offset += last + step - key
                        key = last + step
                    step = key - last
                last = key
                yield key, frame
        except FusionError as error:
            self._errors.append(error)
        except Exception as error:  # noqa: BLE001 - the other streams go on; raised at the end
            self._errors.append(
                SourceError(
                    f"an input of the recording stopped ({type(error).__name__}: {error}); "
                    "the frames before were used: check the file"
                )
            )
