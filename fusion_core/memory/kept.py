"""What a bank offers to those who keep it: on this machine, or as the copy of a server's."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from fusion_core.memory.statistics import BankStats


class KeptBank(Protocol):
    """A memory bank that is read, reset, saved and restored; see ``MemoryBank``."""

    @property
    def revision(self) -> int:
        """Number that grows with every change of slots or statistics."""
        ...

    def stats(self) -> BankStats:
        """Return counters, threshold and diversity."""
        ...

    def reset(self) -> None:
        """Return to the trained slots and forget all statistics."""
        ...

    def save_snapshot(self, path: str | Path) -> None:
        """Write slots, statistics and history; the file is either whole or as it was.

        Raises:
            OSError: The file cannot be written.
        """
        ...

    def load_snapshot(self, path: str | Path) -> None:
        """Take over a saved state; on an error the bank stays as it is.

        Raises:
            MemoryBankError: The file cannot be used.
        """
        ...
