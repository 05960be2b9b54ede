"""YAML files from outside: read whole, of bounded size, and without surprises."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fusion_core.errors import FusionError

_MAX_BYTES: Final = 1_000_000
_MAX_DEPTH: Final = 20
_MAX_VALUES: Final = 100_000
_SHOWN: Final = 300  # characters of a reason in a message


def read_mapping(path: Path, error: type[FusionError]) -> dict[str, Any]:
    """Return the keys and values of a YAML file; an empty file has none.

    Files above 1 MB, more than 20 levels of nesting, more than 100000 values with aliases expanded,
    and keys given twice are refused.

    Args:
        path: The file.
        error: Raised, with one line that names the file, when it cannot be read or is no mapping.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise error(f"{path}: is a device or a named pipe; give a YAML file")
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise error(f"{path}: larger than {_MAX_BYTES} bytes; give a smaller YAML file")
        text = content.decode("utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        _count_values(node, 1, {})
        data = yaml.safe_load(text)
    except OSError as reason:
        raise error(f"{path}: cannot be read ({reason.strerror})") from None
    except RecursionError:
        raise error(f"{path}: nested more than {_MAX_DEPTH} levels deep; flatten it") from None
    # Numbers and dates that do not exist, and tags on values that they do not fit, are values for
    # the parser, and errors of any kind for the code that builds them.
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as reason:
        text = " ".join(str(reason).split())[:_SHOWN]
        raise error(f"{path}: not valid YAML ({text})") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise error(f"{path}: expected a mapping of keys, got {type(data).__name__}")
    return data


def _count_values(node: Node | None, depth: int, counts: dict[int, int]) -> int:
    """Return the number of values of a node, each alias counted in full.

    Raises:
        ValueError: Too many values, too deep, a key that is given twice, or an alias to itself.
    """
    if node is None or isinstance(node, ScalarNode):
        return 1
    if id(node) in counts:
        if counts[id(node)] == 0:
            raise ValueError("an alias refers to itself")
        return counts[id(node)]
    if depth > _MAX_DEPTH:
        raise RecursionError
    counts[id(node)] = 0
    total = 1 + sum(_count_values(child, depth + 1, counts) for child in _children(node))
    if total > _MAX_VALUES:
        raise ValueError(f"more than {_MAX_VALUES} values")
    counts[id(node)] = total
    return total


def _children(node: Node) -> list[Node]:
    """Return the values of a collection.

    Raises:
        ValueError: A key of a mapping is given twice.
    """
    if isinstance(node, SequenceNode):
        return list(node.value)
    assert isinstance(node, MappingNode)
    keys = [key.value for key, _ in node.value if isinstance(key, ScalarNode)]
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise ValueError(f"key {key!r} is given twice")
        seen.add(key)
    return [part for entry in node.value for part in entry]
