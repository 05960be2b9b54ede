# Copyright 2026 The fusion-core maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Descriptions of ROS parameters, made from the core's configuration: names, defaults, ranges."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic.fields import FieldInfo
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from fusion_core.models.options import OptionField
from fusion_core.pipeline.live_settings import LIVE_NAMES

Value = bool | int | float | str
OPTIONS = "options."
"""Begin of the names of a model's options."""

_WHEN = "Takes effect when the node is configured."
_LIVE = "May change while the node runs."
_MOST_FLOAT = sys.float_info.max
_LEAST_INT, _MOST_INT = -(2**63), 2**63 - 1


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter of the node.

    Attributes:
        name: Full name, blocks separated by dots.
        default: Value of a node that is started without one; its type is the parameter's type.
        descriptor: Description, range and constraints as ROS tools show them.
    """

    name: str
    default: Value
    descriptor: ParameterDescriptor


def block_settings(block: Any, prefix: str = "") -> Iterator[Setting]:  # noqa: ANN401 - dataclass
    """Yield one setting per field of a configuration block, those of its own blocks included.

    A tuple of names becomes a text with commas. A mapping has no fixed names and is left out.

    Args:
        block: A dataclass instance whose fields are blocks, or annotated with a pydantic ``Field``.
        prefix: Put before every name.
    """
    hints = typing.get_type_hints(type(block), include_extras=True)
    for entry in dataclasses.fields(block):
        value = getattr(block, entry.name)
        if dataclasses.is_dataclass(value):
            yield from block_settings(value, f"{prefix}{entry.name}.")
        elif not isinstance(value, Mapping):
            default = ",".join(value) if isinstance(value, tuple) else value
            yield _setting(prefix + entry.name, default, hints[entry.name])


def _setting(name: str, default: Value, hint: object) -> Setting:
    """Return the setting of one annotated field."""
    kind, *metadata = typing.get_args(hint)
    info = next(entry for entry in metadata if isinstance(entry, FieldInfo))
    when = _LIVE if name in LIVE_NAMES else _WHEN
    descriptor = ParameterDescriptor(description=f"{info.description} {when}")
    if typing.get_origin(kind) in {types.UnionType, typing.Union}:
        number, words = typing.get_args(kind)
        info = next(e for e in typing.get_args(number)[1:] if isinstance(e, FieldInfo))
        descriptor.dynamic_typing = True
        descriptor.additional_constraints = f"a number, or {', '.join(typing.get_args(words))}"
    if typing.get_origin(kind) is Literal:
        descriptor.additional_constraints = "one of: " + ", ".join(typing.get_args(kind))
    _set_range(descriptor, default, _bound(info, "ge", "gt"), _bound(info, "le", "lt"))
    return Setting(name, default, descriptor)


def option_setting(option: OptionField) -> Setting:
    """Return the setting of one option of a model."""
    when = _WHEN if isinstance(option.default, str) else _LIVE
    descriptor = ParameterDescriptor(description=f"{option.description} {when}")
    _set_range(descriptor, option.default, option.low, option.high)
    return Setting(OPTIONS + option.name, option.default, descriptor)


def is_within(setting: Setting, value: object) -> bool:
    """Return whether a value has the type of a setting and lies in its stated range."""
    if type(value) is not type(setting.default):
        return False
    descriptor = setting.descriptor
    ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
    return all(limits.from_value <= value <= limits.to_value for limits in ranges)


def _set_range(
    descriptor: ParameterDescriptor, default: Value, lower: float | None, upper: float | None
) -> None:
    """State the range of a number; a side without a bound reaches as far as the type does.

    ROS has no exclusive bounds: such a bound itself is refused by the configuration only.

    Args:
        descriptor: Changed in place.
        default: The parameter's default; for anything but a number nothing is stated.
        lower: Smallest value, None without a bound.
        upper: Largest value, None without a bound.
    """
    if isinstance(default, (bool, str)) or (lower is None and upper is None):
        return
    if isinstance(default, float):
        limits = FloatingPointRange(from_value=-_MOST_FLOAT, to_value=_MOST_FLOAT)
        descriptor.floating_point_range = [limits]
        convert: type = float
    else:
        limits = IntegerRange(from_value=_LEAST_INT, to_value=_MOST_INT)
        descriptor.integer_range = [limits]
        convert = int
    if lower is not None:
        limits.from_value = convert(lower)
    if upper is not None:
        limits.to_value = convert(upper)


def _bound(info: FieldInfo, *keys: str) -> float | None:
    """Return a bound of a field, None where it has none."""
    bounds = (getattr(rule, key, None) for rule in info.metadata for key in keys)
    return next((bound for bound in bounds if bound is not None), None)
