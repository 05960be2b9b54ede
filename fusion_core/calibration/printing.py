"""A target as a drawing to print at its true size."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from fusion_core.calibration.targets import Target
from fusion_core.errors import CalibrationError
from fusion_core.runtime.files import atomic_path

_MARGIN_M: Final = 0.02
_CIRCLE_SHARE: Final = 0.4  # radius of a circle, of the distance between rows
_NOTE_M: Final = 0.004


def write_drawing(target: Target, path: Path) -> tuple[float, float]:
    """Write the target as an SVG in true size and return the paper's width and height in metres.

    Raises:
        CalibrationError: The file is no SVG or cannot be written.
    """
    if path.suffix != ".svg":
        raise CalibrationError(f"{path}: a target is written as a drawing; name it *.svg")
    width, height, shapes = _shapes(target)
    paper = (width + 2 * _MARGIN_M, height + 2 * _MARGIN_M + 2 * _NOTE_M)
    millimetres = [round(1e3 * side, 3) for side in paper]
    note = escape(f"{target.spec} (metres); print at 100 %, then measure it")
    text = "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{millimetres[0]:g}mm" '
            f'height="{millimetres[1]:g}mm" viewBox="0 0 {millimetres[0]:g} {millimetres[1]:g}">',
            '<rect width="100%" height="100%" fill="white"/>',
            f'<g transform="translate({1e3 * _MARGIN_M:g} {1e3 * _MARGIN_M:g})" '
            'shape-rendering="crispEdges">',
            *shapes,
            "</g>",
            f'<text x="{1e3 * _MARGIN_M:g}" y="{millimetres[1] - 1e3 * _MARGIN_M / 2:g}" '
            f'font-family="sans-serif" font-size="{1e3 * _NOTE_M:g}">{note}</text>',
            "</svg>\n",
        ]
    )
    try:
        with atomic_path(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CalibrationError(f"{path}: cannot be written ({error.strerror})") from None
    return paper


def _shapes(target: Target) -> tuple[float, float, Iterator[str]]:
    """Return width and height of the board in metres, and its dark parts."""
    size = target.size_m
    if target.kind == "chessboard":
        columns, rows = target.columns + 1, target.rows + 1
        return columns * size, rows * size, _squares(columns, rows, size, dark=0)
    if target.kind == "circles":
        extent = np.ptp(target.points, axis=0) + 2 * size
        return float(extent[0]), float(extent[1]), _circles(target)
    if target.kind == "charuco":
        width, height = target.columns * size, target.rows * size
        return width, height, _charuco(target)
    pitch = size + target.marker_m
    width, height = (count * pitch + target.marker_m for count in (target.columns, target.rows))
    return width, height, _aprilgrid(target)


def _rectangle(x: float, y: float, width: float, height: float, fill: str = "black") -> str:
    place = " ".join(
        f'{name}="{1e3 * value:.6g}"'
        for name, value in (("x", x), ("y", y), ("width", width), ("height", height))
    )
    return f'<rect {place} fill="{fill}"/>'


def _squares(columns: int, rows: int, size: float, dark: int) -> Iterator[str]:
    for row in range(rows):
        for column in range(columns):
            if (row + column) % 2 == dark:
                yield _rectangle(column * size, row * size, size, size)


def _circles(target: Target) -> Iterator[str]:
    radius = 1e3 * _CIRCLE_SHARE * target.size_m
    for x, y in 1e3 * (target.points + target.size_m):
        yield f'<circle cx="{x:.6g}" cy="{y:.6g}" r="{radius:.6g}"/>'


def _charuco(target: Target) -> Iterator[str]:
    yield from _squares(target.columns, target.rows, target.size_m, dark=0)
    gap = (target.size_m - target.marker_m) / 2
    light = [
        (column, row)
        for row in range(target.rows)
        for column in range(target.columns)
        if (row + column) % 2
    ]
    for marker_id, (column, row) in enumerate(light):
        place = column * target.size_m + gap, row * target.size_m + gap
        yield from _marker(target, marker_id, place, target.marker_m)


def _aprilgrid(target: Target) -> Iterator[str]:
    gap, pitch = target.marker_m, target.size_m + target.marker_m
    for corner in range(0, 4 * target.columns * target.rows, 4):
        x, y = target.points[corner] + gap
        yield from _marker(target, corner // 4, (x, y), target.size_m)
    # Small squares in the gaps give the tags' corners the form of a chessboard's.
    for row in range(target.rows + 1):
        for column in range(target.columns + 1):
            yield _rectangle(column * pitch, row * pitch, gap, gap)


def _marker(
    target: Target, marker_id: int, place: tuple[float, float], side: float
) -> Iterator[str]:
    """Yield the dark cells of a marker, joined along each row; ``place`` is its top left."""
    dictionary = target.markers()
    border = 2 if target.kind == "aprilgrid" else 1
    cells = dictionary.markerSize + 2 * border
    bits = cv2.aruco.generateImageMarker(dictionary, marker_id, cells, borderBits=border)
    cell = side / cells
    for row, line in enumerate(np.asarray(bits) < 128):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], line.astype(np.int8), [0]))))
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            x, y = place[0] + start * cell, place[1] + row * cell
            yield _rectangle(x, y, (end - start) * cell, cell)
