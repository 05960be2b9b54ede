"""The configuration of a pipeline under test."""

from __future__ import annotations

from collections.abc import Sequence

from fusion_core.cli.settings import read_config
from fusion_core.config import Config


def bench_config(assignments: Sequence[str], model: str, **defaults: str) -> Config:
    """Return a configuration for one model.

    Args:
        assignments: ``KEY=VALUE`` of the option ``--set``.
        model: The model; ``--set`` cannot name another.
        defaults: What the bench measures by default, by name of the setting; ``--set`` wins.

    Raises:
        ConfigError: A key or a value is wrong, or a setting is given twice.
    """
    named = {text.partition("=")[0] for text in assignments}
    kept = {name: value for name, value in defaults.items() if name not in named}
    return read_config(None, {"model": model, **kept}, assignments)
