"""Words of settings that YAML reads as something else."""

from __future__ import annotations

from typing import Final

from pydantic import BeforeValidator


def on_off_text(value: object) -> object:
    """Return ``on`` or ``off`` for the booleans that YAML 1.1 makes of these, others as they are.

    ROS parameters and configuration files are YAML, where ``refine: on`` is true.
    """
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


OnOff: Final = BeforeValidator(on_off_text)
"""Annotation of settings whose values are words, ``on`` or ``off`` among them."""
