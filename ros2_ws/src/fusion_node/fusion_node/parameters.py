"""ROS parameters generated from the core's configuration: same names, defaults and ranges."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic.fields import FieldInfo
from rcl_interfaces.msg import (
    FloatingPointRange,
    IntegerRange,
    ParameterDescriptor,
    SetParametersResult,
)
from rclpy.node import Node
from rclpy.parameter import Parameter

from fusion_core.config import Config
from fusion_core.errors import ConfigError
from fusion_core.runtime.on_off import on_off_text

Value = bool | int | float | str
_OF_RCLPY = ("use_sim_time", "start_type_description_service", "qos_overrides.")


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter of the node.

    Attributes:
        name: Full name, blocks separated by dots.
        default: Value when nothing else is given; its type is the parameter's type.
        descriptor: Description, range and constraints as ROS tools show them.
    """

    name: str
    default: Value
    descriptor: ParameterDescriptor


def declare(node: Node, setting: Setting) -> None:
    """Declare a parameter that the node was started with or without a value for."""
    value = setting.default
    if node.has_parameter(setting.name):
        given = node.get_parameter(setting.name).value
        node.undeclare_parameter(setting.name)
        if type(given) is type(value):
            value = given
        else:
            node.get_logger().error(
                f"parameter '{setting.name}' = {given!r} ignored: not a "
                f"{type(value).__name__}; using {value!r}"
            )
    node.declare_parameter(setting.name, value, setting.descriptor, ignore_override=True)


def core_settings() -> list[Setting]:
    """Return one setting per field of the core's configuration."""
    return list(_walk(Config(), ""))


def _walk(block: object, prefix: str) -> Iterator[Setting]:
    hints = typing.get_type_hints(type(block), include_extras=True)
    for entry in dataclasses.fields(block):
        value = getattr(block, entry.name)
        if dataclasses.is_dataclass(value):
            yield from _walk(value, f"{prefix}{entry.name}.")
        elif not isinstance(value, Mapping):
            yield _setting(prefix + entry.name, value, hints[entry.name])


def _setting(name: str, default: Value | tuple[str, ...], hint: object) -> Setting:
    """Return the setting of one annotated field."""
    kind, *metadata = typing.get_args(hint)
    if isinstance(default, tuple):
        default = ",".join(default)
    info = next(entry for entry in metadata if isinstance(entry, FieldInfo))
    descriptor = ParameterDescriptor(
        description=f"{info.description} Takes effect when the node is configured."
    )
    if typing.get_origin(kind) is Literal:
        descriptor.additional_constraints = "one of: " + ", ".join(typing.get_args(kind))
    lower, upper = _limits(info)
    if isinstance(default, float):
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=float(lower), to_value=float(upper))
        ]
    elif isinstance(default, int) and not isinstance(default, bool):
        descriptor.integer_range = [IntegerRange(from_value=int(lower), to_value=int(upper))]
    return Setting(name, default, descriptor)


def _limits(info: FieldInfo) -> tuple[float, float]:
    """Return the bounds of a number; an open bound is still refused by the configuration."""
    lower = [
        getattr(rule, key) for rule in info.metadata for key in ("ge", "gt") if hasattr(rule, key)
    ]
    upper = [
        getattr(rule, key) for rule in info.metadata for key in ("le", "lt") if hasattr(rule, key)
    ]
    return (lower or [0])[0], (upper or [0])[0]


class CoreParameters:
    """Declare the configuration on a node and read it back.

    A value given at start that the configuration refuses is kept, so that configuring the node
    fails with the configuration's own message; a value set later is refused at once.
    """

    def __init__(self, node: Node, others: Collection[str]) -> None:
        """Declare everything.

        Args:
            node: A node that has declared what it was started with, undescribed.
            others: Names of parameters that are not of the configuration, but known.
        """
        self._node = node
        self._locked = False
        self._settings = {setting.name: setting for setting in core_settings()}
        given = {name: entry.value for name, entry in node.get_parameters_by_prefix("").items()}
        blocks = tuple(f"{name}." for name in _blocks(self._settings))
        self._refused = {
            name: value
            for name, value in given.items()
            if name.startswith(blocks) and name not in self._settings
        }
        for name, setting in self._settings.items():
            self._declare(setting, given.get(name))
        unknown = given.keys() - self._settings.keys() - self._refused.keys() - set(others)
        for name in sorted(unknown):
            if not name.startswith(_OF_RCLPY):
                node.get_logger().warning(f"parameter '{name}' is unknown and ignored")
        node.add_on_set_parameters_callback(self._on_set)

    def config(self) -> Config:
        """Return the configuration that the parameters describe.

        Raises:
            ConfigError: A value is wrong.
        """
        return Config.from_dict(_nest(self._values()), "parameters")

    def lock(self, locked: bool) -> None:
        """Refuse changes while a configured pipeline would not notice them."""
        self._locked = locked

    def _declare(self, setting: Setting, given: Value | None) -> None:
        """Declare one parameter with the value given at start, if the configuration takes it."""
        if given is not None:
            self._node.undeclare_parameter(setting.name)
            if isinstance(setting.default, float) and type(given) is int:
                given = float(given)  # "sync.max_skew_ms:=25" means 25.0
            if isinstance(setting.default, str):
                given = on_off_text(given)  # "registration.refine:=on" arrives as true
            if not _accepted(setting, given):
                self._refused[setting.name] = given
                given = None
        value = setting.default if given is None else given
        self._node.declare_parameter(setting.name, value, setting.descriptor, ignore_override=True)

    def _values(self) -> dict[str, Value]:
        return {
            name: self._node.get_parameter(name).value for name in self._settings
        } | self._refused

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        changed = {entry.name: entry.value for entry in parameters if entry.name in self._settings}
        if not changed:
            return SetParametersResult(successful=True)
        if self._locked:
            return SetParametersResult(
                successful=False,
                reason="takes effect when the node is configured: deactivate and clean up first",
            )
        try:
            for name, value in changed.items():
                Config.from_dict(_nest({name: value}), "parameters")
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        for name in changed:
            self._refused.pop(name, None)
        return SetParametersResult(successful=True)


def _accepted(setting: Setting, value: Value) -> bool:
    if type(value) is not type(setting.default):
        return False
    try:
        Config.from_dict(_nest({setting.name: value}))
    except ConfigError:
        return False
    return True


def _blocks(names: Mapping[str, Setting]) -> set[str]:
    return {name.partition(".")[0] for name in names if "." in name}


def _nest(values: Mapping[str, Value]) -> dict[str, Any]:
    """Return dotted names as a nested mapping."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *blocks, leaf = name.split(".")
        place = nested
        for block in blocks:
            place = place.setdefault(block, {})
        place[leaf] = value
    return nested
