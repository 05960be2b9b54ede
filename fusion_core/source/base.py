"""Interfaces of sources of frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, cast

from fusion_core.errors import UsageError
from fusion_core.runtime.drop_log import DropLog
from fusion_core.types import Frame, Modality


class Source(Protocol):
    """One or two camera streams, recorded or live; a context manager that closes itself.

    Attributes:
        live: Frames come when they are captured, and too late ones are dropped. Recorded
            sources wait for the reader and lose nothing.
        total: Visible frames expected, None when unknown.
        drop_log: What was lost before it became a ``Frame``: ``unknown_encoding``, ``corrupt``,
            ``queue_full``, ``lost_on_wire``, ``no_partner`` (an image that the other folder lacks),
            ``unread`` (it waited when the source was closed).
    """

    live: bool
    total: int | None
    drop_log: DropLog

    @property
    def read(self) -> Mapping[Modality, int]:
        """Frames given so far, per stream."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Iterate over both streams merged by stamp; once.

        Raises:
            SourceError: An input is torn or stopped; every good frame has been given before.
            UsageError: It was called before.
        """
        ...

    def close(self) -> None:
        """Release the input; a running ``frames`` ends. May be called twice, from any thread."""
        ...

    def __enter__(self) -> Source: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def already_read(what: str) -> UsageError:
    """Return the error for a source whose frames are asked for a second time."""
    return UsageError(f"{what}: a source is read once; open it again with open_source")


class RecordedStream(Protocol):
    """One recorded input; once frames are asked for, it is used from one thread of their own.

    Attributes:
        total: Visible frames expected, None when unknown or none are.
        drop_log: Frames left out so far.
    """

    total: int | None
    drop_log: DropLog

    def frames(self) -> Iterator[Frame]:
        """Iterate in recorded order; a SourceError comes after the last good frame."""
        ...

    def close(self) -> None:
        """Release the input; may be called twice."""
        ...


class InputEnded(Exception):  # noqa: N818 - it is no error
    """A live input has come to its end as it was meant to."""


class FrameReader(Protocol):
    """One live input; all but the constructor is called from one thread.

    Attributes:
        name: How the user named it, for messages.
        drop_log: Frames lost so far.
    """

    name: str
    drop_log: DropLog

    def read(self, timeout_s: float) -> Frame | None:
        """Wait for the next frame; None when none came in time or it cannot be understood.

        Raises:
            InputEnded: Nothing more comes, and that is no fault.
            SourceError: The input is gone for good.
        """
        ...

    def close(self) -> None:
        """Release the input; may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class SourceKind:
    """One kind of input; an entry point of the group ``fusion.sources`` names an instance.

    The entry point's name is the scheme of the addresses, or the suffix of the files, that it
    opens.

    Attributes:
        open: Takes an address and the modalities asked for, one or both, and returns a
            ``RecordedStream`` or, when ``live``, a ``FrameReader``.
        example: An address, for messages.
        live: Frames come when they are captured.
        holds_both: One address gives both streams.
    """

    open: Callable[[str, tuple[Modality, ...]], RecordedStream | FrameReader]
    example: str
    live: bool = False
    holds_both: bool = False

    def open_recorded(self, address: str, modalities: tuple[Modality, ...]) -> RecordedStream:
        """Open an address of a kind that is not live."""
        return cast("RecordedStream", self.open(address, modalities))

    def open_live(self, address: str, modalities: tuple[Modality, ...]) -> FrameReader:
        """Open an address of a live kind."""
        return cast("FrameReader", self.open(address, modalities))
