"""What a sink of fused frames looks like."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

from fusion_core.errors import SinkError
from fusion_core.runtime.closing import Closing
from fusion_core.types import FusedFrame


class Sink(Closing):
    """One output; a context manager that closes itself.

    Attributes:
        path: The file or folder written, None for sockets.
    """

    path: Path | None = None

    @abstractmethod
    def write(self, fused: FusedFrame) -> None:
        """Add one result.

        Raises:
            SinkError: It cannot be written; what was written before stays usable after ``close``.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish the output; may be called twice."""


def make_folder(folder: Path) -> None:
    """Create a folder and its parents where missing.

    Raises:
        SinkError: It cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(
            f"{folder}: cannot be created ({error.strerror}); choose another place"
        ) from None
