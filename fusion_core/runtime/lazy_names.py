"""Names of a package that are imported when they are first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, module_of: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a package's ``__getattr__``, so that importing it does not import what is heavy.

    A program that runs its networks on a server imports the package in a Python without torch.

    Args:
        package: Name of the package.
        module_of: Name -> module of the package that defines it.
    """

    def load(name: str) -> Any:  # noqa: ANN401 - the type is the exported object's own
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{module_of[name]}"), name)

    return load
