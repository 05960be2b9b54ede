"""What a sentence wishes for, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from fusion_core.errors import UsageError
from fusion_core.priors.kinds import KINDS
from fusion_core.types import FloatImage

# Those of the scene priors, in their order.
DEGRADATIONS: Final = tuple(kind for kind in KINDS if kind != "clean")
TARGETS: Final = ("people", "vehicles", "hot")
STYLES: Final = ("bright", "dark", "contrast", "sharp", "colour", "natural")
TASKS: Final = ("vif", "mef", "mff")

SLIGHT: Final = 0.35
PLAIN: Final = 0.7
STRONG: Final = 1.0
"""Strengths of "slightly remove the haze", "remove the haze" and "remove the haze completely"."""

WISH_SIZE: Final = 2 * len(DEGRADATIONS) + len(TARGETS) + len(STYLES) + len(TASKS)
"""Length of a wish as a vector."""

_LEAST: Final = SLIGHT / 2


@dataclass(frozen=True, slots=True)
class Wish:
    """What a fused picture shall show.

    Attributes:
        remove: Degradation -> strength in (0, 1] of its removal.
        keep: Degradations that shall stay.
        targets: ``people``, ``vehicles``, ``hot`` -> strength in (0, 1] of their emphasis.
        styles: ``bright``, ``dark``, ``contrast``, ``sharp``, ``colour``, ``natural`` -> strength.
        task: ``vif``, ``mef`` or ``mff``; empty where the sentence names none.

    Raises:
        UsageError: A name is unknown, a strength out of range, or one degradation is to be removed
            and kept.
    """

    remove: Mapping[str, float] = field(default_factory=dict)
    keep: frozenset[str] = frozenset()
    targets: Mapping[str, float] = field(default_factory=dict)
    styles: Mapping[str, float] = field(default_factory=dict)
    task: str = ""

    def __post_init__(self) -> None:
        for what, given, known in (
            ("degradation", (*self.remove, *self.keep), DEGRADATIONS),
            ("target", self.targets, TARGETS),
            ("style", self.styles, STYLES),
            ("task", (self.task,) if self.task else (), TASKS),
        ):
            for name in given:
                if name not in known:
                    raise UsageError(f"{what} {name!r}: unknown; known: {', '.join(known)}")
        for name, strength in {**self.remove, **self.targets, **self.styles}.items():
            if not 0 < strength <= 1:
                raise UsageError(f"strength of {name} = {strength}: must be above 0 and at most 1")
        if both := self.keep & self.remove.keys():
            raise UsageError(f"{min(both)}: to be removed and kept; wish for one of them")

    def __bool__(self) -> bool:
        """Whether it wishes for anything."""
        return bool(self.remove or self.keep or self.targets or self.styles or self.task)

    def vector(self) -> FloatImage:
        """Return the wish as ``WISH_SIZE`` float32 values in [0, 1].

        Removal per degradation, kept per degradation, targets, styles and tasks, in the order of
        ``DEGRADATIONS``, ``TARGETS``, ``STYLES`` and ``TASKS``.
        """
        values = [self.remove.get(name, 0.0) for name in DEGRADATIONS]
        values += [float(name in self.keep) for name in DEGRADATIONS]
        values += [self.targets.get(name, 0.0) for name in TARGETS]
        values += [self.styles.get(name, 0.0) for name in STYLES]
        values += [float(name == self.task) for name in TASKS]
        return np.array(values, np.float32)

    @classmethod
    def from_vector(
        cls,
        values: Sequence[float] | FloatImage,
        degrees: Sequence[float] = (SLIGHT, PLAIN, STRONG),
    ) -> Wish:
        """Return the wish nearest to a vector.

        Args:
            values: See :meth:`vector`.
            degrees: Strengths that a value can stand for; it is rounded to the nearest.
        """
        given = [float(value) for value in values]
        assert len(given) == WISH_SIZE, f"{len(given)} values, a wish has {WISH_SIZE}"
        parts = []
        for names in (DEGRADATIONS, DEGRADATIONS, TARGETS, STYLES, TASKS):
            parts.append(dict(zip(names, given, strict=False)))
            given = given[len(names) :]
        remove, keep, targets, styles, tasks = parts
        kept = frozenset(name for name, value in keep.items() if value > max(0.5, remove[name]))
        task = max(TASKS, key=tasks.__getitem__)
        return cls(
            {
                name: value
                for name, value in _strengths(remove, degrees).items()
                if name not in kept
            },
            kept,
            _strengths(targets, degrees),
            _strengths(styles, degrees),
            task if tasks[task] > 0.5 else "",
        )

    def __str__(self) -> str:
        """Return one line for logs."""
        parts = [f"remove {name} {strength:g}" for name, strength in self.remove.items()]
        parts += [f"keep {name}" for name in DEGRADATIONS if name in self.keep]
        parts += [f"show {name} {strength:g}" for name, strength in self.targets.items()]
        parts += [f"{name} {strength:g}" for name, strength in self.styles.items()]
        return ", ".join([*parts, *([f"task {self.task}"] if self.task else [])]) or "nothing"


def _strengths(values: Mapping[str, float], degrees: Sequence[float]) -> dict[str, float]:
    """Return the values that are meant, each as the nearest strength."""
    return {
        name: min(degrees, key=lambda strength: abs(strength - value))
        for name, value in values.items()
        if value >= _LEAST
    }
