"""Look at parts of a picture beside the whole: small objects of a large picture at full size.

A network sees a picture reduced to its input, and a person of 25 pixels in a picture of 1024 with
15. Overlapping parts are seen less reduced (Akyon et al., Slicing aided hyper inference, ICIP
2022); what the border of a part cuts is left to its neighbour or to the whole picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from fusion_core.detection.boxes import Candidates
from fusion_core.detection.letterbox import Size
from fusion_core.types import UInt8Image

_OVERLAP: Final = 0.15  # share of a part that it has more than its share of the picture
_CUT: Final = 3.0  # pixels from an inner border within which an object is taken to be cut by it


class Tile(NamedTuple):
    """A part of a picture.

    Attributes:
        left: First column.
        top: First row.
        right: Column after the last one.
        bottom: Row after the last one.
    """

    left: int
    top: int
    right: int
    bottom: int

    def cut(self, picture: UInt8Image) -> UInt8Image:
        """Return the part of ``HxW`` or ``HxWxC``."""
        return np.ascontiguousarray(picture[self.top : self.bottom, self.left : self.right])

    def placed(self, found: Candidates, picture: Size) -> Candidates:
        """Return what was found in the part, in the picture, without what its border cuts.

        Args:
            found: Candidates in the part's pixels.
            picture: Width and height of the picture.
        """
        boxes = found.boxes + np.array([self.left, self.top, self.left, self.top])
        inner_low = np.array([self.left, self.top]) > 0
        inner_high = np.array([self.right, self.bottom]) < picture
        cut = (found.boxes[:, :2] < _CUT) & inner_low
        cut |= (boxes[:, 2:] > np.array([self.right, self.bottom]) - _CUT) & inner_high
        whole = np.asarray(~cut.any(axis=1), np.bool_)
        return found._replace(boxes=boxes).take(whole)


def tiles_of(picture: Size, count: int) -> tuple[Tile, ...]:
    """Return the parts of a picture, row by row.

    Args:
        picture: Width and height of the picture.
        count: Parts in each row and in each column; 1: none, as the picture is seen whole anyway.
    """
    if count == 1:
        return ()
    edges = [min(edge, math.ceil(edge * (1 + _OVERLAP) / count)) for edge in picture]
    lefts, tops = (
        np.linspace(0, whole - edge, count).round().astype(int).tolist()
        for whole, edge in zip(picture, edges, strict=True)
    )
    return tuple(Tile(x, y, x + edges[0], y + edges[1]) for y in tops for x in lefts)


def joined(parts: Sequence[Candidates]) -> Candidates:
    """Return the candidates of all parts together."""
    return Candidates(*(np.concatenate(each) for each in zip(*parts, strict=True)))
