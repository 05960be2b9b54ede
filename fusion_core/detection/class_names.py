"""The names of a detector's classes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from fusion_core.detection.card import Card
from fusion_core.detection.coco import COCO_NAMES, COCO_NUMBERS
from fusion_core.errors import UsageError


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Names by class number; without any, a class is named by its number.

    Attributes:
        path: The detector's file, for messages.
        by_number: Class number -> name; empty when the detector states none.
    """

    path: Path
    by_number: Mapping[int, str]

    @classmethod
    def of(cls, path: Path, card: Card, count: int) -> ClassNames:
        """Return the names that a card states; where it states none, COCO's by their number.

        Args:
            path: The detector's file.
            card: What the file states about itself.
            count: Number of classes: 80 are COCO's in order, 90 or 91 its category numbers; others
                are named by number.
        """
        if card.names:
            return cls(path, card.names)
        if count == len(COCO_NAMES):
            return cls(path, dict(enumerate(COCO_NAMES)))
        if count in {90, 91}:
            return cls(path, dict(zip(COCO_NUMBERS, COCO_NAMES, strict=True)))
        return cls(path, {})

    @property
    def known(self) -> tuple[str, ...]:
        """All names; empty when the detector states none."""
        return tuple(self.by_number.values())

    def has(self, number: int) -> bool:
        """Return whether a class number is an object's; a named detector may list a background."""
        return not self.by_number or number in self.by_number

    def label(self, number: int) -> str:
        """Return the name of a class."""
        return self.by_number.get(number, str(number))

    def select(self, names: Collection[str], setting: str) -> frozenset[str]:
        """Return some of the names as a set.

        Args:
            names: The names to select.
            setting: Where a user gave them, for the message.

        Raises:
            UsageError: One is no class of the detector.
        """
        for name in sorted(names):
            if self.by_number and name not in self.known:
                raise UsageError(
                    f"{setting}: {name!r} is no class of {self.path}; known: "
                    f"{', '.join(self.known)}"
                )
            if not self.by_number and not name.isdecimal():
                raise UsageError(
                    f"{setting}: {name!r}: {self.path} names no classes, they are numbers; list "
                    f"`names` in {self.path.with_suffix('.yaml')}"
                )
        return frozenset(names)
