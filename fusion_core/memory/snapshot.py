"""A memory bank's state on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from fusion_core.errors import FusionError, MemoryBankError
from fusion_core.runtime.files import write_atomic
from fusion_core.runtime.safetensors_file import read_safetensors
from fusion_core.types import FloatImage

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
        slots: ``NxD`` float32.
        uses: Per slot.
        updates: Per slot.
        last_used: Per slot.
        accepted: Number of queries.
        rejected: Number of queries.
        history: Latest scores, oldest first.
    """

    slots: FloatImage
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
    metadata = {"format": FORMAT, "version": VERSION, "model": model, "origin": origin}
    write_atomic(path, save(snapshot_arrays(snapshot), metadata))


def snapshot_arrays(snapshot: Snapshot) -> dict[str, NDArray[Any]]:
    """Return a snapshot as arrays by name, as they are kept and sent."""
    return {
        "slots": np.ascontiguousarray(snapshot.slots),
        "uses": np.array(snapshot.uses, np.int64),
        "updates": np.array(snapshot.updates, np.int64),
        "last_used": np.array(snapshot.last_used, np.int64),
        "counts": np.array((snapshot.accepted, snapshot.rejected), np.int64),
        "history": np.array(snapshot.history, np.float64),
    }


def read_snapshot(path: str | Path, model: str, origin: str, shape: tuple[int, int]) -> Snapshot:
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
    _, arrays = read_safetensors(path, "numpy", expected, MemoryBankError, _ADVICE)
    return snapshot_from(arrays, shape, f"{path}", MemoryBankError)


def snapshot_from(
    arrays: Mapping[str, NDArray[Any]],
    shape: tuple[int, int],
    origin: str,
    error: type[FusionError],
) -> Snapshot:
    """Return the snapshot that arrays of :func:`snapshot_arrays` hold.

    Args:
        arrays: The arrays by name.
        shape: Shape that the slots must have.
        origin: Where they came from, for the error message.
        error: Class of the errors.

    Raises:
        FusionError: They do not fit together or hold impossible values; of class ``error``.
    """
    kinds = {
        "slots": (shape, "float32"),
        **dict.fromkeys(("uses", "updates", "last_used"), ((shape[0],), "int64")),
        "counts": ((2,), "int64"),
    }
    found = {name: (array.shape, array.dtype.name) for name, array in arrays.items()}
    history_shape, history_kind = found.pop("history", ((), ""))
    if found != kinds or len(history_shape) != 1 or history_kind != "float64":
        raise error(f"{origin}: tensors {sorted(arrays)} do not fit {shape}; {_ADVICE}")
    if not (np.isfinite(arrays["slots"]).all() and np.isfinite(arrays["history"]).all()):
        raise error(f"{origin}: holds values that are not finite; {_ADVICE}")
    accepted, rejected = arrays["counts"].tolist()
    snapshot = Snapshot(
        slots=arrays["slots"],
        uses=tuple(arrays["uses"].tolist()),
        updates=tuple(arrays["updates"].tolist()),
        last_used=tuple(arrays["last_used"].tolist()),
        accepted=accepted,
        rejected=rejected,
        history=tuple(arrays["history"].tolist()),
    )
    if not _counts_agree(snapshot):
        raise error(f"{origin}: its counters contradict each other; {_ADVICE}")
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
