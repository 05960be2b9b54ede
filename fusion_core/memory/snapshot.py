"""A memory bank's state on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from fusion_core.errors import MemoryBankError
from fusion_core.runtime.files import atomic_path
from fusion_core.runtime.tensors import read_tensors

FORMAT = "fusion-memory"
VERSION = "1"

_ADVICE = "without the file the trained bank is used"


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
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata)


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
    return Snapshot(
        slots=tensors["slots"],
        uses=tuple(tensors["uses"].tolist()),
        updates=tuple(tensors["updates"].tolist()),
        last_used=tuple(tensors["last_used"].tolist()),
        accepted=accepted,
        rejected=rejected,
        history=tuple(tensors["history"].tolist()),
    )
