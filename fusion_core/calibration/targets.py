"""Boards to calibrate with: what they are called, and where their points lie."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import UsageError

Points = NDArray[np.float64]
_FORMS: Final = {
    "chessboard": "chessboard:COLUMNSxROWS:SQUARE with the counts of inner corners",
    "circles": "circles:COLUMNSxROWS:SPACING, an asymmetric grid, SPACING from a row to the next",
    "charuco": "charuco:COLUMNSxROWS:SQUARE:MARKER[:DICTIONARY] with the counts of squares",
    "aprilgrid": "aprilgrid:COLUMNSxROWS:TAG:GAP with the counts of tags",
}
_LENGTHS: Final = {"chessboard": 1, "circles": 1, "charuco": 2, "aprilgrid": 2}
_LIMITS_M: Final = (0.001, 1.0)
DEFAULT_DICTIONARY: Final = "DICT_5X5_100"
APRILGRID_DICTIONARY: Final = "DICT_APRILTAG_36H11"


@dataclass(frozen=True)
class Target:
    """A flat board with known points, x to the right and y down as printed, in metres.

    Attributes:
        kind: ``chessboard``, ``circles`` (asymmetric grid), ``charuco`` or ``aprilgrid``.
        columns: Inner corners, circles, squares or tags in a row.
        rows: Rows of them.
        size_m: Side of a square or tag; for circles the distance between neighbouring rows.
        marker_m: Charuco: side of a marker. Aprilgrid: gap between tags.
        dictionary: Name of the markers' dictionary in OpenCV, empty without markers.
    """

    kind: str
    columns: int
    rows: int
    size_m: float
    marker_m: float = 0.0
    dictionary: str = ""

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read the form that the command line takes, such as ``chessboard:9x6:0.05``.

        Raises:
            UsageError: The text does not describe a board that can be used.
        """
        kind, *parts = text.split(":")
        if kind not in _FORMS:
            raise UsageError(f"target {text!r}: {kind!r} is not one of {', '.join(_FORMS)}")
        named = kind == "charuco" and len(parts) == 2 + _LENGTHS[kind]
        dictionary = parts.pop() if named else DEFAULT_DICTIONARY
        try:
            columns, rows = (int(count) for count in parts[0].split("x"))
            lengths = [float(length) for length in parts[1:]]
            if len(lengths) != _LENGTHS[kind]:
                raise ValueError
        except (ValueError, IndexError):
            raise UsageError(f"target {text!r}: expected {_FORMS[kind]}, in metres") from None
        marked = {"charuco": dictionary, "aprilgrid": APRILGRID_DICTIONARY}
        size_m, marker_m = (*lengths, 0.0)[:2]
        target = cls(kind, columns, rows, size_m, marker_m, marked.get(kind, ""))
        target._check(text)
        return target

    @property
    def spec(self) -> str:
        """Return the form that ``parse`` reads."""
        parts = [self.kind, f"{self.columns}x{self.rows}", f"{self.size_m:g}"]
        if self.marker_m:
            parts.append(f"{self.marker_m:g}")
        if self.kind == "charuco":
            parts.append(self.dictionary)
        return ":".join(parts)

    @cached_property
    def points(self) -> Points:
        """Return where the points lie on the board, ``Nx2`` in metres, in order of their ids."""
        if self.kind == "charuco":
            grid = _grid(self.columns - 1, self.rows - 1) + 1
        elif self.kind == "circles":
            grid = _grid(self.columns, self.rows)
            grid[:, 0] = 2 * grid[:, 0] + grid[:, 1] % 2
        elif self.kind == "aprilgrid":
            return self._tag_corners()
        else:
            grid = _grid(self.columns, self.rows)
        return grid * self.size_m

    @property
    def half_turn(self) -> bool:
        """Whether the points, seen alone, may be mistaken for the board turned by 180 degrees."""
        return self.kind == "chessboard"

    def board(self) -> cv2.aruco.CharucoBoard:
        """Return OpenCV's description of a charuco board."""
        return cv2.aruco.CharucoBoard(
            (self.columns, self.rows), self.size_m, self.marker_m, self.markers()
        )

    def markers(self) -> cv2.aruco.Dictionary:
        """Return OpenCV's dictionary of the markers."""
        return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, self.dictionary))

    def _tag_corners(self) -> Points:
        """Return each tag's corners clockwise from the top left; ids count up from the bottom."""
        pitch = self.size_m + self.marker_m
        origins = _grid(self.columns, self.rows)
        origins[:, 1] = self.rows - 1 - origins[:, 1]
        square = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * self.size_m
        return np.asarray((origins[:, None, :] * pitch + square).reshape(-1, 2))

    def _check(self, text: str) -> None:
        """Raise for what cannot be a board."""
        fewest = 2 if self.kind == "aprilgrid" else 3
        if min(self.columns, self.rows) < fewest or max(self.columns, self.rows) > 50:
            raise UsageError(f"target {text!r}: counts must be between {fewest} and 50")
        if self.kind == "chessboard" and self.columns == self.rows:
            raise UsageError(
                f"target {text!r}: a board with as many columns as rows looks the same after a "
                "quarter turn; use one with different counts"
            )
        if self.kind == "circles" and self.rows % 2 == 0:
            raise UsageError(
                f"target {text!r}: with an even count of rows the grid looks the same upside down; "
                "use an odd one, such as 4x11"
            )
        lengths = [self.size_m, *([self.marker_m] if _LENGTHS[self.kind] == 2 else [])]
        for length in lengths:
            if not _LIMITS_M[0] <= length <= _LIMITS_M[1]:
                raise UsageError(
                    f"target {text!r}: a length of {length:g} m lies outside "
                    f"{_LIMITS_M[0]:g} to {_LIMITS_M[1]:g}; give metres"
                )
        if self.kind == "charuco":
            self._check_charuco(text)

    def _check_charuco(self, text: str) -> None:
        if not self.dictionary.startswith("DICT_") or not hasattr(cv2.aruco, self.dictionary):
            raise UsageError(
                f"target {text!r}: dictionary {self.dictionary!r} is unknown; give one of "
                f"OpenCV's, such as {DEFAULT_DICTIONARY} or {APRILGRID_DICTIONARY}"
            )
        if self.marker_m >= self.size_m:
            raise UsageError(
                f"target {text!r}: markers of {self.marker_m:g} m do not fit into squares of "
                f"{self.size_m:g} m"
            )


def _grid(columns: int, rows: int) -> Points:
    """Return ``(column, row)`` of a grid, row by row."""
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    return np.stack((x.ravel(), y.ravel()), axis=1).astype(np.float64)
