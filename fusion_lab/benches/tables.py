"""Results as Markdown tables and as plain data for JSON."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Cell = str | int | float


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a head.

    Attributes:
        title: Line above the table, may be empty.
        head: Names of the columns.
        rows: As many cells per row as there are columns; floats are printed with ``digits``.
        digits: Digits after the point.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    digits: int = 2

    def markdown(self) -> str:
        """Return the table as Markdown."""
        lines = [f"\n{self.title}\n"] if self.title else [""]
        lines += ["| " + " | ".join(self.head) + " |", "|" + "---|" * len(self.head)]
        for row in self.rows:
            if len(row) != len(self.head):
                raise ValueError(f"row {row}: {len(row)} cells, the head has {len(self.head)}")
            lines.append("| " + " | ".join(self._text(cell) for cell in row) + " |")
        return "\n".join(lines)

    def _text(self, cell: Cell) -> str:
        if not isinstance(cell, float):
            return str(cell)
        return "–" if math.isnan(cell) else f"{cell:.{self.digits}f}"


def plain(value: object) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Return a result as JSON can hold it; numbers that are not finite become None.

    Raises:
        TypeError: Something in it is neither a dataclass, a mapping, a sequence nor plain.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        value = {name: getattr(value, name) for name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, Sequence | np.ndarray):
        return [plain(entry) for entry in value]
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
