"""The places of a scene memory on disk."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from fusion_core.errors import MemoryBankError
from fusion_core.runtime.files import write_atomic
from fusion_core.runtime.safetensors_file import read_safetensors
from fusion_core.scene_memory.place import Place, reduced

FORMAT: Final = "fusion-memory-places"
VERSION: Final = "1"
_ADVICE: Final = "without the file no place is remembered"


def pack_places(places: Sequence[Place]) -> dict[str, NDArray[Any]]:
    """Return copies of all that is kept of the places."""
    packed: dict[str, NDArray[Any]] = {}
    for number, place in enumerate(places):
        packed |= {
            f"{number}.visible": place.visible.copy(),
            f"{number}.thermal": place.thermal.copy(),
            f"{number}.age_ns": place.last_ns - place.seen_ns,
        }
    return packed


def write_places(path: str | Path, packed: dict[str, NDArray[Any]]) -> None:
    """Write places with the time of day.

    Raises:
        OSError: The file cannot be written.
    """
    metadata = {"format": FORMAT, "version": VERSION, "saved_at": f"{time.time():.3f}"}
    write_atomic(path, save(packed, metadata))


def read_places(path: str | Path) -> list[Place]:
    """Return the places of a file, as of stamp 0.

    Raises:
        MemoryBankError: The file is missing, torn, foreign or holds what no place can be.
    """
    expected = {"format": FORMAT, "version": VERSION}
    metadata, tensors = read_safetensors(path, "numpy", expected, MemoryBankError, _ADVICE)
    names = {name.rpartition(".")[0] for name in tensors}
    try:
        saved_at = float(metadata["saved_at"])
        places = [_place(number, tensors, saved_at) for number in sorted(names, key=int)]
    except (KeyError, ValueError) as error:
        raise MemoryBankError(f"{path}: holds no whole places ({error}); {_ADVICE}") from None
    return places


def _place(name: str, tensors: dict[str, NDArray[Any]], saved_at: float) -> Place:
    visible, thermal, age_ns = (
        tensors[f"{name}.{part}"] for part in ("visible", "thermal", "age_ns")
    )
    kinds = tuple(image.dtype.name for image in (visible, thermal, age_ns))
    if kinds != ("uint8", "float32", "int64") or visible.shape[2:] != (3,):
        raise ValueError(f"place {name} has tensors of {kinds}")
    if not thermal.shape == age_ns.shape == reduced(visible[..., 0]).shape:
        raise ValueError(f"place {name} has images of different sizes")
    if not np.isfinite(thermal).all() or age_ns.min() < 0:
        raise ValueError(f"place {name} has values that are not finite or ages below 0")
    return Place(visible, thermal, -age_ns, 0, saved_at)
