"""Models, sources, sinks and verbs by name, found through entry points.

Each kind of part is a group of entry points of installed packages: ``fusion.models``,
``fusion.sources``, ``fusion.sinks`` and ``fusion.verbs``. What ships with this project is declared
in its ``pyproject.toml`` in the same way, so a package of somebody else adds a part without a
change here. Names are listed without importing anything; a part is imported when it is loaded.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from fusion_core.errors import UsageError, missing_extra

_log = logging.getLogger(__name__)

MODELS: Final = "fusion.models"
SOURCES: Final = "fusion.sources"
SINKS: Final = "fusion.sinks"
VERBS: Final = "fusion.verbs"


def plugin_names(group: str) -> tuple[str, ...]:
    """Return the names in a group, sorted."""
    return tuple(_entries(group))


def load_plugin(group: str, name: str, kind: type | tuple[type, ...] = object) -> Any:  # noqa: ANN401 - of ``kind``
    """Import and return one part.

    Args:
        group: One of the groups of this module.
        name: One of :func:`plugin_names`.
        kind: What the part must be an instance of.

    Raises:
        UsageError: There is no such name, two packages claim it, or it cannot be imported.
        MissingExtraError: It needs torch, which is not installed.
    """
    entries = _entries(group)
    if name not in entries:
        known = ", ".join(entries) or "none; install the project with pip"
        raise UsageError(f"{group}: no {name!r}; known: {known}")
    entry, *others = entries[name]
    if others:
        owners = " and ".join(sorted({_owner(each) for each in (entry, *others)}))
        raise UsageError(f"{group}: {name!r} is declared by {owners}; uninstall one of them")
    try:
        part = entry.load()
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "torch":
            raise missing_extra(f"{group}: {name!r}", "torch", "torch") from None
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise UsageError(
            f"{group}: {name!r} of {_owner(entry)} cannot be imported ({reason}); "
            "reinstall or uninstall it"
        ) from error
    if not isinstance(part, kind):
        raise UsageError(
            f"{group}: {name!r} of {_owner(entry)} is a {type(part).__name__}, "
            f"expected {_names(kind)}"
        )
    return part


def load_plugins(group: str, kind: type | tuple[type, ...] = object) -> dict[str, Any]:
    """Import and return all parts of a group by name, for lists.

    A part that cannot be loaded is left out with a warning: one faulty package must not hide the
    parts of all others.
    """
    parts: dict[str, Any] = {}
    for name in plugin_names(group):
        try:
            parts[name] = load_plugin(group, name, kind)
        except UsageError as error:
            _log.warning("left out: %s", error)
    return parts


@lru_cache
def _entries(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Return the entry points of a group by name; one value more than once counts once."""
    found: dict[str, dict[str, EntryPoint]] = {}
    for entry in entry_points(group=group):
        found.setdefault(entry.name, {}).setdefault(entry.value, entry)
    return {name: tuple(found[name].values()) for name in sorted(found)}


def _owner(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else entry.value


def _names(kind: type | tuple[type, ...]) -> str:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return " or ".join(each.__name__ for each in kinds)
