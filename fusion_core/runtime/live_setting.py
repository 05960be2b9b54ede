"""A setting that may change while the stream goes on, as pages and tools show it."""

from __future__ import annotations

from dataclasses import dataclass

Scalar = str | int | float | bool


@dataclass(frozen=True, slots=True)
class LiveSetting:
    """One setting and its value in force.

    Attributes:
        name: Full name, blocks separated by dots.
        value: In force; its type is the setting's.
        description: What it does, in a sentence.
        choices: The values that it may have, empty where they are not counted.
        low: Smallest value of a number, None without a limit.
        high: Largest value of a number, None without a limit.
    """

    name: str
    value: Scalar
    description: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
