"""Settings in YAML files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from fusion_core.errors import FusionError


def read_mapping(path: Path, error: type[FusionError]) -> dict[str, Any]:
    """Return the keys and values of a YAML file; an empty file has none.

    Args:
        path: The file.
        error: Raised, with one line that names the file, when it cannot be read or is no mapping.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as reason:
        raise error(f"{path}: cannot be read ({reason.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError) as reason:
        raise error(f"{path}: not valid YAML ({' '.join(str(reason).split())})") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise error(f"{path}: expected a mapping of keys, got {type(data).__name__}")
    return data
