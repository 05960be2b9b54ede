"""Options of a model: a block of settings that the network states, filled from plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from fusion_core.errors import ConfigError
from fusion_core.runtime.live_setting import Scalar
from fusion_core.runtime.settings import Settings, setting_types, settings_from

OptionsT = TypeVar("OptionsT", bound=Settings)


@dataclass(frozen=True)
class NoOptions(Settings):
    """Of a model that has none."""


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


def options_fields(kind: type[Settings]) -> tuple[OptionField, ...]:
    """Return the options of a model's block, in its order."""
    defaults = kind()
    return tuple(
        describe_option(name, getattr(defaults, name), hint)
        for name, hint in setting_types(kind).items()
    )


def read_options(kind: type[OptionsT], values: Mapping[str, Scalar], model: str) -> OptionsT:
    """Return a model's options from plain values; what is not given keeps its default.

    Args:
        kind: The model's block of options.
        values: Option -> value.
        model: Name of the model, for the error message.

    Raises:
        ConfigError: The model has no such option, or a value has the wrong type or range.
    """
    _refuse_unknown({model: kind}, values)
    return settings_from(kind, values, f"options of model {model!r}")


def split_options(
    kinds: Mapping[str, type[Settings]], values: Mapping[str, Scalar]
) -> dict[str, Settings]:
    """Return the options of several models from one mapping; each takes the keys that it has.

    Args:
        kinds: Model -> its block of options.
        values: Option -> value.

    Raises:
        ConfigError: No model has an option, or a value has the wrong type or range.
    """
    _refuse_unknown(kinds, values)
    return {
        model: read_options(
            kind, {key: values[key] for key in setting_types(kind) if key in values}, model
        )
        for model, kind in kinds.items()
    }


def _refuse_unknown(kinds: Mapping[str, type[Settings]], values: Mapping[str, Scalar]) -> None:
    known = list(dict.fromkeys(name for kind in kinds.values() for name in setting_types(kind)))
    for key in values:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            models = " and ".join(repr(model) for model in kinds)
            raise ConfigError(
                f"options.{key}: unknown to model {models}; {hint}known options: "
                f"{', '.join(known) or 'none'}"
            )


def describe_option(name: str, default: Scalar, hint: object) -> OptionField:
    """Return the description of one annotated field of a block of settings."""
    info = FieldInfo.from_annotation(hint)  # type: ignore[arg-type]
    low = high = None
    for limit in info.metadata:
        if isinstance(limit, Ge | Gt):
            low = float(limit.ge if isinstance(limit, Ge) else limit.gt)  # type: ignore[arg-type]
        elif isinstance(limit, Le | Lt):
            high = float(limit.le if isinstance(limit, Le) else limit.lt)  # type: ignore[arg-type]
    return OptionField(name, default, low, high, info.description or "")
