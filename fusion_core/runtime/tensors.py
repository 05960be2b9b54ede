"""Tensors on disk: one safetensors file with metadata, read whole or refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from safetensors.torch import save
from torch import Tensor

from fusion_core.errors import FusionError
from fusion_core.runtime.files import write_atomic
from fusion_core.runtime.safetensors_file import read_safetensors

_LENGTH: Final = 8  # bytes that hold the header's length, and a multiple of which it is


def write_tensors(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write tensors and metadata; the file is either whole or as it was.

    The same content gives the same bytes.

    Args:
        path: File to write.
        tensors: Name -> contiguous tensor on the CPU.
        metadata: Lines to keep with them.

    Raises:
        OSError: The file cannot be written.
    """
    write_atomic(path, _sort_metadata(save(dict(tensors), dict(metadata))))


def read_tensors(
    path: str | Path, expected: Mapping[str, str], error: type[FusionError], advice: str
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the metadata and the tensors of a file.

    Args:
        path: File to read.
        expected: Metadata that it must have: its format and the format's version.
        error: Class of the errors.
        advice: What to do about a file that cannot be used.

    Raises:
        FusionError: The file is missing, torn or foreign; of class ``error``.
    """
    return read_safetensors(path, "pt", expected, error, advice)


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _sort_metadata(file: bytes) -> bytes:
    """Return a safetensors file, which has its metadata in random order, with them sorted."""
    end = _LENGTH + int.from_bytes(file[:_LENGTH], "little")
    header = json.loads(file[_LENGTH:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % _LENGTH)
    return len(text).to_bytes(_LENGTH, "little") + text + file[end:]
