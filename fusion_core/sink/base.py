"""What a sink of fused frames looks like."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from types import MappingProxyType

from fusion_core.errors import SinkError
from fusion_core.runtime.closable import Closable
from fusion_core.types import FusedFrame


class Sink(Closable):
    """One output; a context manager that closes itself.

    Attributes:
        path: The file or folder written, None for sockets.
    """

    path: Path | None = None

    @property
    def watched(self) -> bool:
        """Whether somebody takes what is written; a live program may save the work otherwise."""
        return True

    @property
    def dropped(self) -> Mapping[str, int]:
        """Results that were written and did not arrive, by cause, where that can happen."""
        return MappingProxyType({})

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


def create_recording(path: Path) -> BufferedWriter:
    """Create a file, and its folder where missing; recordings are not overwritten.

    Returns:
        The empty file, open for writing.

    Raises:
        SinkError: It exists, or cannot be created.
    """
    make_folder(path.parent)
    try:
        return path.open("xb")
    except FileExistsError:
        raise SinkError(
            f"{path}: exists already, recordings are not overwritten; choose a new name"
        ) from None
    except OSError as error:
        raise SinkError(
            f"{path}: cannot be written ({error.strerror}); choose another place"
        ) from None


@dataclass(frozen=True, slots=True)
class SinkKind:
    """One kind of output; an entry point of the group ``fusion.sinks`` names an instance.

    The entry point's name is the scheme of the addresses, or the suffix of the files, that it
    opens.

    Attributes:
        open: Takes the address or path, and whether pictures show what the detector found.
        example: An address, for messages.
    """

    open: Callable[[str, bool], Sink]
    example: str
