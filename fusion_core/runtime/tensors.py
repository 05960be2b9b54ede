"""Tensors on disk: one safetensors file with metadata, read whole or refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from fusion_core.errors import FusionError


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
        raise error(f"{path}: no such file; {advice}")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as reason:
        raise error(f"{path}: torn or not safetensors ({reason}); {advice}") from None
    for key, value in expected.items():
        if metadata.get(key) != value:
            raise error(f"{path}: {key} {metadata.get(key)!r}, expected {value!r}; {advice}")
    return metadata, tensors


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, by the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
