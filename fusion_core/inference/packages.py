"""Which run times of networks this Python has."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from fusion_core.errors import MissingExtraError, missing_extra

PACKAGES: Final = {"torch": "torch", "openvino": "openvino", "onnx": "onnxruntime"}
"""Kind of engine -> package that it needs."""


def is_installed(kind: str) -> bool:
    """Return whether the package of a kind of engine is there; it is not imported."""
    try:
        return find_spec(PACKAGES[kind]) is not None
    except (ImportError, ValueError):  # a package that is half removed, or blocked
        return False


def missing_package(what: str, kind: str) -> MissingExtraError:
    """Return the error for a kind of engine whose package is not there.

    Args:
        what: What needs it.
        kind: The kind.
    """
    if kind == "onnx":
        return MissingExtraError(
            f"{what} needs onnxruntime, which every installation brings; run: "
            "pip install onnxruntime"
        )
    return missing_extra(what, PACKAGES[kind], kind)
