"""The copy that a client keeps of its memory bank on a server."""

from __future__ import annotations

import threading
from pathlib import Path

from fusion_core.memory.snapshot import Snapshot, read_snapshot, write_snapshot
from fusion_core.memory.statistics import BankStats, bank_stats


class RemoteBank:
    """A memory bank that a server updates and this client owns.

    Every answer brings the bank's new state, and the first call of a session takes it along: a
    server that starts anew goes on where the last one was.

    Args:
        model: Name of the network.
        origin: Fingerprint of its trained slots.
        trained: State as trained.
    """

    def __init__(self, model: str, origin: str, trained: Snapshot) -> None:
        self.model, self.origin = model, origin
        self._trained = self._state = trained
        self._lock = threading.Lock()
        self._revision = 0
        self._edits = 0
        self._known: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Number and width of the slots."""
        count, width = self._trained.slots.shape
        return count, width

    @property
    def revision(self) -> int:
        """Number that grows with every change of slots or statistics."""
        return self._revision

    def stats(self) -> BankStats:
        """Return counters, threshold and diversity."""
        return bank_stats(self._state)

    def reset(self) -> None:
        """Return to the trained slots and forget all statistics."""
        self._edit(self._trained)

    def save_snapshot(self, path: str | Path) -> None:
        """Write slots, statistics and history; the file is either whole or as it was.

        Raises:
            OSError: The file cannot be written.
        """
        write_snapshot(path, self._state, self.model, self.origin)

    def load_snapshot(self, path: str | Path) -> None:
        """Take over a saved state; on an error the bank stays as it is.

        Raises:
            MemoryBankError: The file is missing, torn, foreign, or of another network, or was
                saved with other trained weights.
        """
        self._edit(read_snapshot(path, self.model, self.origin, self.shape))

    def unsent(self, session: int) -> tuple[Snapshot | None, int]:
        """Return the state where the server does not have it, and the number of edits so far."""
        with self._lock:
            known = self._known == (session, self._edits)
            return None if known else self._state, self._edits

    def take(self, state: Snapshot | None, session: int, edits: int) -> None:
        """Take over what an answer brings, unless the bank was edited here since the call.

        Args:
            state: New state, None where nothing has changed.
            session: Session of the call.
            edits: What :meth:`unsent` returned for the call.
        """
        with self._lock:
            if edits != self._edits:
                return
            self._known = session, edits
            if state is not None:
                self._state = state
                self._revision += 1

    def _edit(self, state: Snapshot) -> None:
        with self._lock:
            self._state = state
            self._edits += 1
            self._revision += 1
