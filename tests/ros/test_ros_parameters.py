"""Parameters made from the configuration: every field, and every kind of range."""

import sys
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated

import pytest
from fusion_node.settings import block_settings
from pydantic import Field, TypeAdapter
from rclpy.parameter import Parameter

from fusion_core.config import Config

SETTINGS = {setting.name: setting for setting in block_settings(Config())}
LOWER, UPPER = ("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")


def bounds():
    """Return the bounds of every numeric field as pydantic writes them into the JSON schema."""
    schema = TypeAdapter(Config).json_schema()

    def walk(block, prefix):
        for name, entry in block["properties"].items():
            if "$ref" in entry:
                inner = schema["$defs"][entry["$ref"].rpartition("/")[2]]
                yield from walk(inner, f"{prefix}{name}.")
            elif entry.get("type") in {"number", "integer"}:
                lower, upper = (
                    next((entry[key] for key in keys if key in entry), None)
                    for keys in (LOWER, UPPER)
                )
                yield prefix + name, entry["type"], lower, upper

    return list(walk(schema, ""))


def stated_range(descriptor):
    """Return the only range of a descriptor, None without one."""
    ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
    assert len(ranges) <= 1
    return ranges[0] if ranges else None


@pytest.mark.parametrize(("name", "kind", "lower", "upper"), bounds())
def test_the_range_of_a_field_is_the_configurations(name, kind, lower, upper):
    setting = SETTINGS[name]
    limits = stated_range(setting.descriptor)
    assert limits is not None
    assert bool(setting.descriptor.integer_range) == (kind == "integer")
    assert limits.from_value < limits.to_value
    assert limits.from_value <= setting.default <= limits.to_value
    assert lower is None or limits.from_value == lower
    assert upper is None or limits.to_value == upper


def test_every_field_is_described():
    names = {
        entry.name for entry in fields(Config) if not is_dataclass(getattr(Config(), entry.name))
    }
    assert names - SETTINGS.keys() <= {"options"}
    for name, setting in SETTINGS.items():
        assert len(setting.descriptor.description) > 20, name
        if not isinstance(setting.default, (int, float)) or isinstance(setting.default, bool):
            assert stated_range(setting.descriptor) is None, name


@dataclass(frozen=True)
class Ranges:
    """Every kind of bound."""

    least: Annotated[int, Field(ge=2, description="At least.")] = 5
    above: Annotated[float, Field(gt=0, description="Above.")] = 5.0
    most: Annotated[int, Field(le=9, description="At most.")] = 5
    below: Annotated[float, Field(lt=9, description="Below.")] = 5.0
    both: Annotated[float, Field(ge=2, le=9, description="Both.")] = 5.0
    free: Annotated[float, Field(description="Neither.")] = 5.0
    zero: Annotated[float, Field(le=0, description="Up to zero.")] = -5.0


@pytest.mark.parametrize("setting", list(block_settings(Ranges())), ids=lambda each: each.name)
def test_ros_accepts_exactly_what_lies_within(robot, setting):
    accepted, refused = {
        "least": ([2, 10**12], [1, -7]),
        "above": ([0.5, 1e300], [-0.5]),
        "most": ([9, -(10**12)], [10]),
        "below": ([8.5, -1e300], [9.5]),
        "both": ([2.0, 9.0], [1.5, 9.5]),
        "free": ([-1e300, sys.float_info.max], []),
        "zero": ([-1e300, 0.0], [0.5]),
    }[setting.name]
    node = robot.node
    node.declare_parameter(setting.name, setting.default, setting.descriptor)
    try:
        for values, successful in ((accepted, True), (refused, False)):
            for value in values:
                (result,) = node.set_parameters([Parameter(setting.name, value=value)])
                assert result.successful is successful, (value, result.reason)
    finally:
        node.undeclare_parameter(setting.name)
