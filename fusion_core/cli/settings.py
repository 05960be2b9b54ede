"""The configuration from a file, flags and ``--set``, for every verb that has one."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from fusion_core.errors import ConfigError

if TYPE_CHECKING:
    from fusion_core.config import Config

Assignments = Annotated[
    tuple[str, ...],
    tyro.conf.UseAppendAction,
    tyro.conf.arg(name="set", metavar="KEY=VALUE"),
]
"""Type of a verb's option ``--set``, which may be given several times."""


def read_config(
    path: Path | None, flags: Mapping[str, object], assignments: Sequence[str]
) -> Config:
    """Return the file's values, and on top those of the command line.

    Args:
        path: Configuration file; None for the defaults.
        flags: Values by full name of the setting; None means not given.
        assignments: ``KEY=VALUE`` as given to ``--set``: the full name of a setting, such as
            ``sync.max_skew_ms`` or ``options.gain``, and a YAML value.

    Raises:
        ConfigError: The file, a key or a value is wrong, or a setting is given twice with different
            values.
    """
    from fusion_core.config import Config

    given = {name: value for name, value in flags.items() if value is not None}
    for text in assignments:
        name, value = _parsed(text)
        Config.from_dict(_nested({name: value}), "--set")
        if name in given and given[name] != value:
            raise ConfigError(
                f"setting {name!r} is given twice, as {given[name]!r} and {value!r}: give it once"
            )
        given[name] = value
    overrides = _nested(given)
    checked = Config.from_dict(overrides, "command line")
    return Config.load(path, **overrides) if path is not None else checked


def _parsed(text: str) -> tuple[str, object]:
    """Return the name and the value of one assignment."""
    from fusion_core.config import Config
    from fusion_core.runtime.settings import setting_types

    name, separator, value = text.partition("=")
    if not (separator and name):
        raise ConfigError(f"--set {text}: expected KEY=VALUE, such as sync.max_skew_ms=40")
    kinds = setting_types(Config)
    inside = [known for known in kinds if known.startswith(f"{name}.")]
    if inside or name == "options":
        examples = ", ".join(inside) or "options.NAME, an option of the model"
        raise ConfigError(f"--set {text}: {name!r} is a block; its settings are {examples}")
    return name, _value(value, text, typing.get_args(kinds.get(name)))


def _value(value: str, text: str, annotation: tuple[Any, ...]) -> object:
    """Return the YAML value; settings that are text take it as it stands."""
    import yaml

    kind = annotation[0] if annotation else None
    if kind is str or typing.get_origin(kind) is Literal:
        return value
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"--set {text}: not a YAML value ({' '.join(str(error).split())})"
        ) from None
    names = typing.get_origin(kind) is tuple
    return value if parsed is None or (names and not isinstance(parsed, list)) else parsed


def _nested(values: Mapping[str, object]) -> dict[str, Any]:
    """Return the values by block; a name has at most one block before it."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        block, _, leaf = name.partition(".")
        if leaf:
            nested.setdefault(block, {})[leaf] = value
        else:
            nested[block] = value
    return nested
