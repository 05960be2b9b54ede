"""A table of recordings: one line each, as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import Final

from fusion_core.errors import UsageError
from fusion_lab.fleet.places import absolute, is_scene, read_text

COLUMNS: Final = (
    "name",
    "bag",
    "visible",
    "thermal",
    "visible_topic",
    "thermal_topic",
    "calibration",
    "mask",
)
_PATHS: Final = frozenset({"bag", "visible", "thermal", "calibration", "mask"})
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_SHOWN: Final = 5


def read_manifest_rows(address: str) -> list[dict[str, str]]:
    """Return the lines of a table, with paths made absolute from the table's folder.

    The first line names the columns, in any order: ``bag``, or ``visible`` and ``thermal``; and
    where wanted ``name``, ``visible_topic``, ``thermal_topic``, ``calibration`` and ``mask``. Empty
    lines and lines that begin with ``#`` are passed over.

    Args:
        address: Path, or address that fsspec opens, of UTF-8 text.

    Raises:
        UsageError: The table cannot be read, a column is unknown, or lines are wrong; the message
            names each line, the first five of them.
    """
    rows, faults = [], []
    for number, row in _lines(address):
        fault = _fault(row)
        if fault:
            faults.append(f"line {number}: {fault}")
        else:
            rows.append(
                {
                    column: _placed(value, address) if column in _PATHS else value
                    for column, value in row.items()
                    if value
                }
            )
    if faults:
        more = f" (and {len(faults) - _SHOWN} more lines)" if len(faults) > _SHOWN else ""
        raise UsageError(f"{address}: {'; '.join(faults[:_SHOWN])}{more}")
    if not rows:
        raise UsageError(f"{address}: names no recording; give one line for each below the head")
    return rows


def _lines(address: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and the columns of each line below the head."""
    head: list[str] = []
    reader = csv.reader(io.StringIO(read_text(address)), skipinitialspace=True)
    for cells in reader:
        values = [cell.strip() for cell in cells]
        if not any(values) or values[0].startswith("#"):
            continue
        if not head:
            head = values
            _check_head(address, head)
            continue
        extra = values[len(head) :]
        row = dict(zip(head, values, strict=False))
        yield reader.line_num, {**row, **({"": ",".join(extra)} if any(extra) else {})}


def _check_head(address: str, head: list[str]) -> None:
    unknown = [name for name in head if name not in COLUMNS]
    twice = sorted({name for name in head if head.count(name) > 1})
    if unknown or twice:
        what = f"unknown column {unknown[0]!r}" if unknown else f"column {twice[0]!r} twice"
        raise UsageError(
            f"{address}: {what} in the first line; columns are {', '.join(COLUMNS)}, with commas "
            "between them"
        )


def _fault(row: dict[str, str]) -> str:
    """Return what is wrong with a line; empty when nothing is."""
    bag, visible, thermal = (row.get(name, "") for name in ("bag", "visible", "thermal"))
    if "" in row:
        return f"more cells than columns ({row['']!r}); put quotes around a comma"
    if bag and (visible or thermal):
        return "bag holds both streams: leave visible and thermal empty"
    if not bag and not (visible and thermal):
        return "needs bag, or visible and thermal"
    if not bag and (row.get("visible_topic") or row.get("thermal_topic")):
        return "a topic is given without a bag"
    name = row.get("name", "")
    if name and not _NAME.fullmatch(name):
        return f"name {name!r}: use letters, digits, '.', '_' and '-'"
    return ""


def _placed(value: str, address: str) -> str:
    """Return an address as seen from the table's folder."""
    return value if is_scene(value) else absolute(value, beside=address)
