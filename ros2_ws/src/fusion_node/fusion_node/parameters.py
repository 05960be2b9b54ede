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

"""The core's configuration as parameters of a node: declared, checked and read back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from fusion_core.config import RENAMED, Config
from fusion_core.errors import ConfigError, FusionError
from fusion_core.models.options import OptionField
from fusion_core.pipeline.builders import option_fields
from fusion_core.registration import Rig, transform_depth
from fusion_core.runtime.on_off import on_off_text
from fusion_node.settings import (
    OPTIONS,
    Setting,
    Value,
    block_settings,
    is_within,
    option_setting,
)

_OF_RCLPY = ("use_sim_time", "start_type_description_service", "qos_overrides.")


def declare(node: Node, setting: Setting) -> None:
    """Declare a parameter of the node itself, with the value that the node was started with."""
    value = setting.default
    if node.has_parameter(setting.name):
        started = node.get_parameter(setting.name).value
        node.undeclare_parameter(setting.name)
        if type(started) is type(value):
            value = started
        else:
            node.get_logger().error(
                f"parameter '{setting.name}' = {started!r} ignored: not a "
                f"{type(value).__name__}; using {value!r}"
            )
    node.declare_parameter(setting.name, value, setting.descriptor, ignore_override=True)


class CoreParameters:
    """Declare the configuration, with the options of its model, on a node and read it back.

    A value that the node was started with and the configuration refuses is kept, so that
    configuring the node fails with the configuration's own message; a value set later is refused
    at once.
    """

    def __init__(self, node: Node, others: Collection[str]) -> None:
        """Declare everything.

        Args:
            node: A node that has declared what it was started with, undescribed.
            others: Names of parameters that are not of the configuration, but known.
        """
        self._node = node
        self._change: Callable[[Mapping[str, Any]], None] | None = None
        self._settings = {setting.name: setting for setting in block_settings(Config())}
        started: dict[str, Any] = {
            name: entry.value for name, entry in node.get_parameters_by_prefix("").items()
        }
        blocks = tuple(f"{name}." for name in _blocks(self._settings))
        self._refused = {
            name: value
            for name, value in started.items()
            if (name.startswith(blocks) or name in RENAMED) and name not in self._settings
        }
        for name, setting in self._settings.items():
            self._declare(setting, started.get(name))
        self._options: dict[str, OptionField] = {}
        self.declare_options()
        unknown = started.keys() - self._settings.keys() - self._refused.keys() - set(others)
        for name in sorted(unknown):
            if not name.startswith((*_OF_RCLPY, OPTIONS)):
                node.get_logger().warning(f"parameter '{name}' is unknown and ignored")
        node.add_on_set_parameters_callback(self._on_set)
        if hasattr(node, "add_pre_set_parameters_callback"):  # from ROS 2 Iron on
            node.add_pre_set_parameters_callback(self._as_declared)
            node.add_post_set_parameters_callback(self._after_set)

    def declare_options(self) -> None:
        """Declare the options of the model in force as `options.NAME`, and no other model's.

        Where the model is unknown nothing changes: configuring the node fails with the reason.
        """
        try:
            known = {OPTIONS + option.name: option for option in option_fields(self.config())}
        except FusionError:
            return
        for name, option in self._options.items():
            if known.get(name) != option:
                self._node.undeclare_parameter(name)
                self._refused.pop(name, None)
        for name, option in known.items():
            if self._options.get(name) != option:
                self._declare_option(option_setting(option))
        self._options = known

    def config(self) -> Config:
        """Return the configuration that the parameters describe.

        Raises:
            ConfigError: A value is wrong.
        """
        return Config.from_dict(_nest(self._values()), "parameters")

    def attach(self, change: Callable[[Mapping[str, Any]], None] | None) -> None:
        """Hand changes to a configured pipeline, which takes or refuses them; None: to none."""
        self._change = change

    def _declare(self, setting: Setting, started: Any) -> None:  # noqa: ANN401 - as given
        """Declare one parameter with the value given at start, if the configuration accepts it."""
        if started is not None:
            self._node.undeclare_parameter(setting.name)
            started = _typed(setting, started)
            if not _accepted(setting, started):
                self._refused[setting.name] = started
                started = None
        value = setting.default if started is None else started
        self._node.declare_parameter(setting.name, value, setting.descriptor, ignore_override=True)

    def _declare_option(self, setting: Setting) -> None:
        """Declare one option with the value that the node was started with, if it is accepted."""
        name, value = setting.name, setting.default
        if self._node.has_parameter(name):
            started = self._node.get_parameter(name).value
            self._node.undeclare_parameter(name)
            started = _typed(setting, started)
            if is_within(setting, started):
                value = started
            else:
                self._refused[name] = started
        self._node.declare_parameter(name, value, setting.descriptor, ignore_override=True)

    def _values(self) -> dict[str, Value]:
        # All that begin so: an option that the model does not have is refused by the model.
        options = self._node.get_parameters_by_prefix(OPTIONS.rstrip("."))
        return (
            {name: self._node.get_parameter(name).value for name in self._settings}
            | {OPTIONS + name: entry.value for name, entry in options.items()}
            | self._refused
        )

    def _as_declared(self, parameters: list[Parameter]) -> list[Parameter]:
        """Return the values as a start with them would take them: an integer for a float."""
        options = {name: option_setting(option) for name, option in self._options.items()}
        settings = self._settings | options
        return [
            Parameter(entry.name, value=_typed(settings[entry.name], entry.value))
            if entry.name in settings
            else entry
            for entry in parameters
        ]

    def _after_set(self, parameters: list[Parameter]) -> None:
        """Declare the options of a model that came while the node runs."""
        if self._change is not None and any(entry.name == "model" for entry in parameters):
            self.declare_options()

    def _on_set(self, parameters: list[Parameter]) -> SetParametersResult:
        known = self._settings.keys() | self._options.keys()
        changed = {entry.name: entry.value for entry in parameters if entry.name in known}
        if not changed:
            return SetParametersResult(successful=True)
        try:
            if self._change is not None:
                self._change(changed)
                return SetParametersResult(successful=True)
            for name, value in changed.items():
                _check(Config.from_dict(_nest({name: value}), "parameters"), name)
        except FusionError as error:
            advice = "; to change it, deactivate and clean up first" if self._change else ""
            return SetParametersResult(successful=False, reason=f"{error}{advice}")
        for name in changed:
            self._refused.pop(name, None)
        return SetParametersResult(successful=True)


def _typed(setting: Setting, value: Any) -> Any:  # noqa: ANN401 - as given
    """Return a value as the type of its setting, where it has one meaning only."""
    if isinstance(setting.default, float) and type(value) is int:
        return float(value)  # "sync.max_skew_ms:=25" means 25.0
    if isinstance(setting.default, str):
        return on_off_text(value)  # "registration.refine:=on" arrives as true
    return value


def _check(config: Config, name: str) -> None:
    """Refuse the name of a model or rig file that is not there or cannot be used.

    Raises:
        FusionError: The value of the parameter ``name`` is of no use.
    """
    if name == "model":
        option_fields(config)
    elif name == "calibration" and config.calibration and not transform_depth(config.calibration):
        Rig.load(config.calibration)


def _accepted(setting: Setting, value: object) -> bool:
    # A parameter of dynamic type is a number or a word; the configuration checks it alone.
    if type(value) is not type(setting.default) and not setting.descriptor.dynamic_typing:
        return False
    try:
        Config.from_dict(_nest({setting.name: value}))
    except ConfigError:
        return False
    return True


def _blocks(names: Mapping[str, Setting]) -> set[str]:
    return {name.partition(".")[0] for name in names if "." in name}


def _nest(values: Mapping[str, object]) -> dict[str, Any]:
    """Return dotted names as a nested mapping."""
    nested: dict[str, Any] = {}
    for name, value in values.items():
        *blocks, leaf = name.split(".")
        place = nested
        for block in blocks:
            place = place.setdefault(block, {})
        place[leaf] = value
    return nested
