"""Settings: frozen dataclasses whose every value is checked when one is built."""

from __future__ import annotations

import dataclasses
import os
import typing
from collections.abc import Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Final, TypeVar

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from fusion_core.errors import ConfigError

_Block = TypeVar("_Block", bound="Settings")
_TYPES: dict[type, dict[str, Any]] = {}
_ADAPTERS: dict[tuple[type, str], TypeAdapter[Any]] = {}
_SHOWN: Final = 200  # characters of a wrong value in a message


class Settings:
    """Base of a block of settings.

    A subclass is a frozen dataclass. Each field is ``Annotated`` with what pydantic needs to check
    its type and range, or is itself a block. Building one, directly or with
    ``dataclasses.replace``, converts and checks every field.

    Raises:
        ConfigError: A value has the wrong type or lies out of range.
    """

    def __post_init__(self) -> None:
        for name in _field_types(type(self)):
            value = _checked(type(self), name, getattr(self, name), f"{type(self).__name__}: ")
            object.__setattr__(self, name, value)


def settings_from(block: type[_Block], data: object, origin: str) -> _Block:
    """Build a block, and the blocks in it, from nested plain values.

    Args:
        block: Class of the block.
        data: Mapping of its keys; missing keys take their defaults.
        origin: Where the data came from, for the error message.

    Raises:
        ConfigError: A key is unknown, or a value has the wrong type or range.
    """
    return _build(block, data, origin, "", tuple(setting_types(block)))


def setting_types(block: type[Settings], prefix: str = "") -> dict[str, Any]:
    """Return the annotated type of every setting by its full name, blocks separated by dots."""
    found: dict[str, Any] = {}
    for name, kind in _field_types(block).items():
        inner = _as_block(kind)
        found |= setting_types(inner, f"{prefix}{name}.") if inner else {f"{prefix}{name}": kind}
    return found


def _build(
    block: type[_Block], data: object, origin: str, prefix: str, known: tuple[str, ...]
) -> _Block:
    if isinstance(data, block):
        return data
    types = _field_types(block)
    if not isinstance(data, Mapping):
        place = prefix.rstrip(".") or "configuration"
        raise ConfigError(
            f"{origin}: {place} = {_shown(data)}: expected a mapping of {', '.join(types)}"
        )
    values: dict[str, Any] = {}
    for name, value in data.items():
        if name not in types:
            raise ConfigError(f"{origin}: {_unknown(f'{prefix}{name}', types, known)}")
        inner = _as_block(types[name])
        values[name] = (
            _build(inner, value, origin, f"{prefix}{name}.", known)
            if inner
            else _checked(block, name, value, f"{origin}: {prefix}")
        )
    return block(**values)


def _unknown(key: str, siblings: Mapping[str, Any], known: tuple[str, ...]) -> str:
    """Return what refuses an unknown setting, with the nearest ones known."""
    leaf = key.rpartition(".")[2]
    near = [name for name in known if name.rpartition(".")[2] == leaf]
    near = near or get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown key {key!r}; {hint}known keys here: {', '.join(siblings)}"


def _field_types(block: type[Settings]) -> dict[str, Any]:
    """Return the annotated types of the block's fields by name; read once per class."""
    if block not in _TYPES:
        hints = typing.get_type_hints(block, include_extras=True)
        fields = dataclasses.fields(typing.cast("Any", block))
        _TYPES[block] = {field.name: hints[field.name] for field in fields}
    return _TYPES[block]


def _adapter(block: type[Settings], name: str) -> TypeAdapter[Any]:
    """Return what checks one field; made once."""
    if (block, name) not in _ADAPTERS:
        _ADAPTERS[block, name] = TypeAdapter(_field_types(block)[name])
    return _ADAPTERS[block, name]


def _as_block(kind: object) -> type[Settings] | None:
    return kind if isinstance(kind, type) and issubclass(kind, Settings) else None


def _checked(block: type[Settings], name: str, value: object, place: str) -> object:
    """Return the value of one field, converted to its type."""
    kind = _field_types(block)[name]
    inner = _as_block(kind)
    if inner:
        if not isinstance(value, inner):
            raise ConfigError(f"{place}{name} = {_shown(value)}: expected a {inner.__name__}")
        return value
    choices = _choices(typing.get_args(kind)[0])
    if isinstance(value, bool) and {int, float} & set(choices):
        raise ConfigError(f"{place}{name} = {value!r}: input should be a number")
    try:
        return _adapter(block, name).validate_python(
            os.fspath(value) if isinstance(value, os.PathLike) else value
        )
    except ValidationError as error:
        first = error.errors()[0]
        # Of a choice between types the place is the type's name, which says nothing.
        entry = "".join(f".{part}" for part in first["loc"][:1] if len(choices) == 1)
        message = first["msg"].lower().removeprefix("value error, ")
        raise ConfigError(f"{place}{name}{entry} = {_shown(first['input'])}: {message}") from None


def _shown(value: object) -> str:
    """Return a wrong value as it is printed, cut to a length that a screen shows."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _choices(kind: object) -> tuple[object, ...]:
    """Return the types that a value may have: those of a union, without their annotations."""
    union = typing.get_origin(kind) in {UnionType, typing.Union}
    parts = typing.get_args(kind) if union else (kind,)
    annotated = [part for part in parts if typing.get_origin(part) is Annotated]
    return tuple(typing.get_args(part)[0] if part in annotated else part for part in parts)


def _split_names(value: object) -> object:
    """Return the names of ``person, car`` as a tuple; values that are no text as they are."""
    if isinstance(value, str):
        value = tuple(value.split(",")) if value.strip() else ()
    if not isinstance(value, (tuple, list)):
        return value
    names = tuple(name.strip() if isinstance(name, str) else name for name in value)
    if "" in names:
        raise ValueError("a name is empty; separate names by single commas: person, car")
    return names


SplitNames: Final = BeforeValidator(_split_names)
"""Annotation of a ``tuple[str, ...]`` that may be given as one text with commas."""
