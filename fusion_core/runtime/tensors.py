"""Tensors on disk: one safetensors file with metadata, read whole or refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fusion_core.errors import FusionError
from fusion_core.runtime.files import write_atomic

_SHOWN: Final = 200  # characters of a reason in a message


def write_tensors(
    path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Write tensors and metadata; the file is either whole or as it was.

    Args:
        path: File to write.
        tensors: Name -> contiguous tensor on the CPU.
        metadata: Lines to keep with them.

    Raises:
        OSError: The file cannot be written.
    """
    write_atomic(path, save(dict(tensors), dict(metadata)))


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
    if not Path(path).is_file():
        state = "is no regular file" if os.path.lexists(path) else "no such file"
        raise error(f"{path}: {state}; {advice}")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    # Of a header that was tampered with, torch and Python raise what they meet first.
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError, KeyError) as reason:
        text = " ".join(str(reason).split())[:_SHOWN]
        raise error(f"{path}: torn or not safetensors ({text}); {advice}") from None
    for key, value in expected.items():
        if metadata.get(key) != value:
            raise error(f"{path}: {key} {metadata.get(key)!r}, expected {value!r}; {advice}")
    return metadata, tensors


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
