"""Labelled boxes on disk: CSV files ``label,x,y,w,h`` in pixels, with ``ignore`` regions."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import SourceError
from fusion_core.training.detector.network import LABELS

IGNORE: Final = -1
_HEADER: Final = ["label", "x", "y", "w", "h"]
_CLASSES: Final = {
    "person": 0,
    "car": 1,
    "bus": 1,
    "truck": 1,
    "vehicle": 1,
    "bicycle": 2,
    "motorcycle": 2,
    "cycle": 2,
    "ignore": IGNORE,
}
assert len(LABELS) == 1 + max(_CLASSES.values())


class Labels(NamedTuple):
    """The boxes of one picture.

    Attributes:
        boxes: ``Nx4`` float32 left, top, right, bottom in pixels.
        classes: ``N`` int64 index into ``LABELS``, or ``IGNORE``.
    """

    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]


def read_labels(path: Path) -> Labels:
    """Read one file; an empty one says that there is nothing to find.

    Raises:
        SourceError: The file cannot be read, or a row is malformed or of an unknown label.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read ({error})") from None
    if rows and rows[0] == _HEADER:
        del rows[0]
    boxes, classes = np.zeros((len(rows), 4), np.float32), np.zeros(len(rows), np.int64)
    for index, row in enumerate(rows):
        try:
            label, (x, y, w, h) = row[0], (float(value) for value in row[1:])
            classes[index] = _CLASSES[label]
        except (ValueError, KeyError):
            known = ", ".join(_CLASSES)
            raise SourceError(
                f"{path}: row {','.join(row)!r}: expected label,x,y,w,h with one of {known}"
            ) from None
        boxes[index] = x, y, x + w, y + h
    return Labels(boxes, classes)
