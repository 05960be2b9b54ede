"""A memory bank's state on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from fusion_core.errors import MemoryBankError
from fusion_core.runtime.tensors import read_tensors, write_tensors

FORMAT = "fusion-memory"
VERSION = "1"

_ADVICE = "without the file the trained bank is used"
_LENGTH_BYTES: Final = 8  # a safetensors file begins with its header's length,
_HEADER_START: Final = b'{"__metadata__":{'  # and its header so
_HEADER_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """State of a memory bank; the attributes are those of ``BankStats``.

    Attributes:
        slots: ``NxD`` float32 on the CPU.
        uses: Per slot.
        updates: Per slot.
        last_used: Per slot.
        accepted: Number of queries.
        rejected: Number of queries.
        history: Latest scores, oldest first.
    """

    slots: Tensor
    uses: tuple[int, ...]
    updates: tuple[int, ...]
    last_used: tuple[int, ...]
    accepted: int
    rejected: int
    history: tuple[float, ...]


def write_snapshot(path: str | Path, snapshot: Snapshot, model: str, origin: str) -> None:
    """Write a snapshot; the file is either whole or as it was.

    Args:
        path: File to write.
        snapshot: State to write.
        model: Name of the network.
        origin: Fingerprint of the trained slots.

    Raises:
        OSError: The file cannot be written.
    """
    tensors = {
        "slots": snapshot.slots.contiguous(),
        "uses": torch.tensor(snapshot.uses),
        "updates": torch.tensor(snapshot.updates),
        "last_used": torch.tensor(snapshot.last_used),
        "counts": torch.tensor((snapshot.accepted, snapshot.rejected)),
        "history": torch.tensor(snapshot.history, dtype=torch.float64),
    }
    metadata = {"format": FORMAT, "version": VERSION, "model": model, "origin": origin}
    write_tensors(path, tensors, metadata)


def read_snapshot(path: str | Path, model: str, origin: str, shape: torch.Size) -> Snapshot:
    """Read a snapshot and check that it fits.

    Args:
        path: File to read.
        model: Name of the network it must be of.
        origin: Fingerprint of the trained slots it must have grown from.
        shape: Shape its slots must have.

    Raises:
        MemoryBankError: The file is missing, torn, foreign or does not fit.
    """
    expected = {"format": FORMAT, "version": VERSION, "model": model, "origin": origin}
    _, tensors = read_tensors(path, expected, MemoryBankError, _ADVICE)
    per_slot = (torch.Size([shape[0]]), torch.int64)
    kinds = {
        "slots": (shape, torch.float32),
        "uses": per_slot,
        "updates": per_slot,
        "last_used": per_slot,
        "counts": (torch.Size([2]), torch.int64),
    }
    found = {key: (value.shape, value.dtype) for key, value in tensors.items()}
    history, kind = found.pop("history", (torch.Size([]), None))
    if found != kinds or len(history) != 1 or kind != torch.float64:
        raise MemoryBankError(f"{path}: tensors {sorted(tensors)} do not fit {shape}; {_ADVICE}")
    if not (tensors["slots"].isfinite().all() and tensors["history"].isfinite().all()):
        raise MemoryBankError(f"{path}: holds values that are not finite; {_ADVICE}")
    accepted, rejected = tensors["counts"].tolist()
    snapshot = Snapshot(
        slots=tensors["slots"],
        uses=tuple(tensors["uses"].tolist()),
        updates=tuple(tensors["updates"].tolist()),
        last_used=tuple(tensors["last_used"].tolist()),
        accepted=accepted,
        rejected=rejected,
        history=tuple(tensors["history"].tolist()),
    )
    if not _counts_agree(snapshot):
        raise MemoryBankError(f"{path}: its counters contradict each other; {_ADVICE}")
    return snapshot


def is_own_file(path: Path) -> bool:
    """Return whether a file is a snapshot, whole or torn, that this project wrote.

    Torn snapshots are cut short, or hold zeros only, as some file systems leave them after a power
    cut.
    """
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            length, header = file.read(_LENGTH_BYTES), file.read(_HEADER_BYTES)
            if FORMAT.encode() in header:
                return True
            if not header:
                return True  # too short to tell what it was
            if header.strip(b"\0"):
                whole = int.from_bytes(length, "little") <= len(header)
                return not whole and header.startswith(_HEADER_START[: len(header)])
            return not any(length) and not any(
                block.strip(b"\0") for block in iter(lambda: file.read(_HEADER_BYTES), b"")
            )
    except OSError:
        return False


def _counts_agree(snapshot: Snapshot) -> bool:
    """Return whether the counters can be those of one bank."""
    queries = snapshot.accepted + snapshot.rejected
    return (
        min(snapshot.accepted, snapshot.rejected, *snapshot.uses, *snapshot.updates) >= 0
        and sum(snapshot.uses) <= queries
        and sum(snapshot.updates) == snapshot.accepted
        and all(-1 <= last < max(queries, 1) for last in snapshot.last_used)
    )
