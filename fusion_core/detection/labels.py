"""Labelled objects of a picture: ``DIR/labels/STEM.csv`` or ``.txt`` beside ``DIR/vi``."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusion_core.detection.boxes import FloatArray
from fusion_core.errors import SourceError

CLASSES = ("person", "vehicle", "cycle")
"""Classes that a detector is trained and evaluated on."""

CLASS_OF: Mapping[str, str] = {
    "person": "person",
    "people": "person",
    "pedestrian": "person",
    "vehicle": "vehicle",
    "car": "vehicle",
    "van": "vehicle",
    "truck": "vehicle",
    "bus": "vehicle",
    "cycle": "cycle",
    "bicycle": "cycle",
    "bike": "cycle",
    "motorcycle": "cycle",
    "motorbike": "cycle",
}
"""Label of a data set or a detector, in small letters -> class."""

M3FD_LABELS = ("people", "car", "bus", "lamp", "motorcycle", "truck")
"""Classes of M3FD (Liu et al., CVPR 2022): what YOLO files without a ``classes.txt`` mean."""

_IGNORE = "ignore"
_NAMES = "classes.txt"
_COLUMNS = ["label", "x", "y", "w", "h"]


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """Labelled objects of one image; boxes are ``Nx4`` left, top, right, bottom in pixels.

    Attributes:
        objects: Class -> boxes, for each of ``CLASSES``.
        ignore: Regions that could not be labelled.
        others: Labelled things that are of no such class, by label: lamps, statues, animals.
    """

    objects: Mapping[str, FloatArray]
    ignore: FloatArray
    others: Mapping[str, FloatArray]


def labelled_stems(folder: Path) -> list[str]:
    """Return the stems of all label files of a folder, sorted."""
    files = [*folder.glob("*.csv"), *folder.glob("*.txt")]
    files = [file for file in files if file.name != _NAMES]
    # Some systems leave companions ._* beside every file.
    return sorted(file.stem for file in files if not file.name.startswith("."))


def read_labels(folder: Path, stem: str, height: int, width: int) -> GroundTruth:
    """Return the labels of a picture.

    Args:
        folder: The folder ``labels`` beside ``vi``. A CSV file has the columns label, x, y, w, h in
            pixels, a YOLO file class number, centre and size in parts of the picture, with the
            names in ``classes.txt`` (default: those of M3FD).
        stem: Stem of the picture.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.

    Raises:
        SourceError: There is no label file, or a line of it cannot be understood.
    """
    table, yolo = folder / f"{stem}.csv", folder / f"{stem}.txt"
    if table.is_file():
        rows = _read_csv(table)
    elif yolo.is_file():
        rows = _read_yolo(yolo, height, width)
    else:
        raise SourceError(
            f"{folder}: no {stem}.csv or {stem}.txt; every labelled picture needs one, an empty "
            "file means no object"
        )
    groups: dict[str, list[list[float]]] = {name: [] for name in (*CLASSES, _IGNORE)}
    for label, (x, y, w, h) in rows:
        groups.setdefault(CLASS_OF.get(label, label), []).append([x, y, x + w, y + h])
    arrays = {name: np.array(boxes, np.float64).reshape(-1, 4) for name, boxes in groups.items()}
    objects = {name: arrays.pop(name) for name in CLASSES}
    return GroundTruth(objects, arrays.pop(_IGNORE), arrays)


_Row = tuple[str, tuple[float, ...]]


def _read_csv(path: Path) -> list[_Row]:
    lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    if lines and lines[0] != _COLUMNS:
        raise SourceError(f"{path}: header {','.join(lines[0])!r}; expected {','.join(_COLUMNS)!r}")
    return [_row(path, line[0].lower(), line[1:]) for line in lines[1:] if line]


def _read_yolo(path: Path, height: int, width: int) -> list[_Row]:
    listed = path.parent / _NAMES
    names = listed.read_text(encoding="utf-8").splitlines() if listed.is_file() else M3FD_LABELS
    rows: list[_Row] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        number, *values = line.split()
        if not number.isdecimal() or int(number) >= len(names):
            raise SourceError(
                f"{path}: class {number!r}; expected a number below {len(names)}, list the names "
                f"in {listed}"
            )
        _, (x, y, w, h) = _row(path, "", values)
        box = ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)
        rows.append((names[int(number)].strip().lower(), box))
    return rows


def _row(path: Path, label: str, values: list[str]) -> _Row:
    try:
        x, y, w, h = (float(value) for value in values)
    except ValueError:
        raise SourceError(f"{path}: box {' '.join(values)!r}; expected four numbers") from None
    return label, (x, y, w, h)
