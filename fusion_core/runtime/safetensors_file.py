"""A safetensors file with metadata, read whole or refused."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from fusion_core.errors import FusionError

_SHOWN: Final = 200  # characters of a reason in a message
_DIGITS: Final = 16  # of an identity


def read_safetensors(
    path: str | Path,
    framework: Literal["pt", "numpy"],
    expected: Mapping[str, str],
    error: type[FusionError],
    advice: str,
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the metadata and the tensors of a file.

    Args:
        path: File to read.
        framework: What the tensors become: those of torch, or arrays.
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
        with safe_open(path, framework) as file:
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


def weights_identity(tensors: Mapping[str, NDArray[Any]]) -> str:
    """Return 16 hexadecimal digits that identify the weights of a network.

    Args:
        tensors: Name -> array, as in its checkpoint.
    """
    digest = hashlib.sha256()
    for name, array in sorted(tensors.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:_DIGITS]
