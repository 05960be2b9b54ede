"""What a source of frames looks like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol

from fusion_core.types import Frame, Modality


class Source(Protocol):
    """One or two camera streams, recorded or live; a context manager that closes itself.

    Attributes:
        live: Frames come when they are captured, and too late ones are dropped. Recorded
            sources wait for the reader and lose nothing.
        total: Visible frames expected, None when unknown.
    """

    live: bool
    total: int | None

    @property
    def read(self) -> Mapping[Modality, int]:
        """Frames given so far, per stream."""
        ...

    @property
    def skipped(self) -> Mapping[str, int]:
        """Frames that did not become a ``Frame``, by cause."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Iterate over both streams merged by stamp.

        Raises:
            SourceError: An input is torn or stopped; every good frame has been given before.
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


class RecordedStream(Protocol):
    """One recorded input.

    Attributes:
        total: Visible frames expected, None when unknown or none are.
        skipped: Frames left out so far, by cause.
    """

    total: int | None
    skipped: Counter[str]

    def frames(self) -> Iterator[Frame]:
        """Iterate in recorded order; a SourceError comes after the last good frame."""
        ...

    def close(self) -> None:
        """Release the input; may be called twice."""
        ...


class FrameReader(Protocol):
    """One live input; all but the constructor is called from one thread.

    Attributes:
        name: How the user named it, for messages.
        skipped: What was lost since it was last emptied, by cause.
    """

    name: str
    skipped: Counter[str]

    def read(self, timeout_s: float) -> Frame | None:
        """Wait for the next frame; None when none came in time or it cannot be understood.

        Raises:
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

    open: Callable[[str, tuple[Modality, ...]], Any]
    example: str
    live: bool = False
    holds_both: bool = False
