"""What a memory offers to those who keep it: on this machine, or as the copy of a server's."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from fusion_core.memory.statistics import BankStats


class Kept(Protocol):
    """A memory that is saved and restored: a bank, or the places of the scene memory."""

    @property
    def revision(self) -> int:
        """Number that grows with every change of what is kept."""
        ...

    def save_snapshot(self, path: str | Path) -> None:
        """Write what is kept; the file is either whole or as it was.

        Raises:
            OSError: The file cannot be written.
        """
        ...

    def load_snapshot(self, path: str | Path) -> None:
        """Take over a saved state; on an error the memory stays as it is.

        Raises:
            MemoryBankError: The file cannot be used.
        """
        ...


class KeptBank(Kept, Protocol):
    """A memory bank that is also read and reset; see ``MemoryBank``."""

    def stats(self) -> BankStats:
        """Return counters, threshold and diversity."""
        ...

    def reset(self) -> None:
        """Return to the trained slots and forget all statistics."""
        ...
