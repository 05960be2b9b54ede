"""Options of a model: a typed dataclass, filled from plain values.

A network states its options as a frozen dataclass whose fields have a default and are annotated
with their range and description, as the configuration's blocks are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from fusion_core.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Scalar = str | int | float | bool
OptionsT = TypeVar("OptionsT", bound="DataclassInstance")


@dataclass(frozen=True)
class NoOptions:
    """Of a model that has none."""

    __pydantic_config__ = ConfigDict(extra="forbid")


@dataclass(frozen=True, slots=True)
class OptionField:
    """One option, as the configuration and ROS parameters show it.

    Attributes:
        name: Its key in the block ``options``.
        default: Value when nothing is set.
        low: Smallest value of a number, None without a limit.
        high: Largest value of a number, None without a limit.
        description: What it does, in a sentence.
    """

    name: str
    default: Scalar
    low: float | None
    high: float | None
    description: str


def options_fields(kind: type[DataclassInstance]) -> tuple[OptionField, ...]:
    """Return the options of a model's dataclass, in its order."""
    hints = get_type_hints(kind, include_extras=True)
    return tuple(_describe(field, hints[field.name]) for field in dataclasses.fields(kind))


def read_options(kind: type[OptionsT], values: Mapping[str, Scalar], model: str) -> OptionsT:
    """Return a model's options from plain values; what is not given keeps its default.

    Args:
        kind: The model's dataclass of options.
        values: Option -> value.
        model: Name of the model, for the error message.

    Raises:
        ConfigError: The model has no such option, or a value has the wrong type or range.
    """
    refuse_unknown_options({model: kind}, values)
    try:
        return TypeAdapter(kind).validate_python(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"options.{key} = {first['input']!r}: {first['msg'].lower()} (model {model!r})"
        ) from None


def split_options(
    kinds: Mapping[str, type[DataclassInstance]], values: Mapping[str, Scalar]
) -> dict[str, DataclassInstance]:
    """Return the options of several models from one mapping; each takes the keys that it has.

    Args:
        kinds: Model -> its dataclass of options.
        values: Option -> value.

    Raises:
        ConfigError: No model has an option, or a value has the wrong type or range.
    """
    refuse_unknown_options(kinds, values)
    return {
        model: read_options(
            kind, {key: values[key] for key in _names(kind) if key in values}, model
        )
        for model, kind in kinds.items()
    }


def refuse_unknown_options(
    kinds: Mapping[str, type[DataclassInstance]], values: Mapping[str, Scalar]
) -> None:
    """Refuse options that no model has.

    Raises:
        ConfigError: There are such.
    """
    known = [name for kind in kinds.values() for name in _names(kind)]
    for key in values:
        if key not in known:
            models = " and ".join(repr(model) for model in kinds)
            listed = ", ".join(dict.fromkeys(known)) or "none"
            raise ConfigError(f"options.{key}: unknown to model {models}; known options: {listed}")


def _names(kind: type[DataclassInstance]) -> Sequence[str]:
    return [field.name for field in dataclasses.fields(kind)]


def _describe(field: dataclasses.Field[Any], hint: Any) -> OptionField:  # noqa: ANN401 - a type hint
    info = FieldInfo.from_annotation(hint)
    low = high = None
    for limit in info.metadata:
        if isinstance(limit, Ge | Gt):
            low = float(limit.ge if isinstance(limit, Ge) else limit.gt)  # type: ignore[arg-type]
        elif isinstance(limit, Le | Lt):
            high = float(limit.le if isinstance(limit, Le) else limit.lt)  # type: ignore[arg-type]
    assert field.default is not dataclasses.MISSING, f"option {field.name} has a default"
    return OptionField(field.name, field.default, low, high, info.description or "")
