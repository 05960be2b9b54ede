"""What a source of frames looks like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Protocol

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


class Stream(Protocol):
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
