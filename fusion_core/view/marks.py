"""What operators have marked, as the mask of a network."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np

from fusion_core.errors import MaskError
from fusion_core.masks.regions import fill_boxes, hot_regions
from fusion_core.types import Box, Detection, FusedFrame, UInt8Image
from fusion_core.view.messages import Area, Point

_MOST: Final = 32
_RADIUS: Final = 0.05  # of the picture's width: what a click on nothing in particular marks
# A hot region larger than this share of the picture is background, and not what was meant.
_LARGEST: Final = 0.25


@dataclass(frozen=True, slots=True)
class MarkedArea:
    """One mark.

    Attributes:
        number: Its number since the start.
        area: Left, top, width and height in shares of the picture.
        track: Identity of the object that it follows, None for a place.
    """

    number: int
    area: Area
    track: int | None = None


class Marks:
    """The marks in force, shared by all viewers; callable from any thread."""

    def __init__(self) -> None:
        self._marks: tuple[MarkedArea, ...] = ()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self._marks)

    def add_area(self, area: Area) -> None:
        """Mark an area.

        Raises:
            MaskError: There are too many marks, or it lies outside of the picture.
        """
        left, top, width, height = area
        width, height = min(width, 1 - left), min(height, 1 - top)
        if not (width > 0 and height > 0):
            raise MaskError("the marked area is empty: draw a box inside the picture")
        self._add(MarkedArea(next(self._numbers), (left, top, width, height)))

    def add_point(self, point: Point, fused: FusedFrame) -> None:
        """Mark what lies at a point: an object that was found, a hot region, or its surround.

        Raises:
            MaskError: There are too many marks.
        """
        rows, columns = fused.image.shape[:2]
        x, y = point[0] * columns, point[1] * rows
        found = _smallest_at(fused.detections, x, y)
        box = found.box if found else _hot_box(fused, x, y) or _surround(x, y, columns)
        track = found.track_id if found else None
        self._add(MarkedArea(next(self._numbers), _area(box, columns, rows), track))

    def remove(self, number: int | None) -> None:
        """Take back one mark, or all for None."""
        with self._lock:
            self._marks = tuple(
                mark for mark in self._marks if number is not None and mark.number != number
            )

    def follow(self, fused: FusedFrame) -> None:
        """Move the marks of known objects to where these are now."""
        rows, columns = fused.image.shape[:2]
        boxes = {found.track_id: found.box for found in fused.detections}
        with self._lock:
            self._marks = tuple(
                replace(mark, area=_area(boxes[mark.track], columns, rows))
                if mark.track is not None and mark.track in boxes
                else mark
                for mark in self._marks
            )

    def mask(self, fused: FusedFrame) -> UInt8Image:
        """Return what is marked, ``HxW`` of the result's size, 255 where it is."""
        rows, columns = fused.image.shape[:2]
        boxes = [
            (left * columns, top * rows, width * columns, height * rows)
            for left, top, width, height in (mark.area for mark in self._marks)
        ]
        return np.asarray(fill_boxes(boxes, rows, columns) * 255, np.uint8)

    def listed(self) -> list[dict[str, Any]]:
        """Return the marks as the page shows them."""
        return [
            {"mark": mark.number, "area": mark.area, "track": mark.track} for mark in self._marks
        ]

    def _add(self, mark: MarkedArea) -> None:
        with self._lock:
            if len(self._marks) >= _MOST:
                raise MaskError(f"{_MOST} areas are marked, which is the limit: take some back")
            self._marks = (*self._marks, mark)


def _smallest_at(detections: tuple[Detection, ...], x: float, y: float) -> Detection | None:
    hit = [
        found
        for found in detections
        if 0 <= x - found.box[0] < found.box[2] and 0 <= y - found.box[1] < found.box[3]
    ]
    return min(hit, key=lambda found: found.box[2] * found.box[3], default=None)


def _hot_box(fused: FusedFrame, x: float, y: float) -> Box | None:
    """Return the box of the hot region at a point, None where there is none."""
    if fused.aligned.thermal is None:
        return None
    regions = (hot_regions(fused.aligned.thermal) > 0).astype(np.uint8)
    rows, columns = regions.shape
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(regions)
    label = labels[min(int(y), rows - 1), min(int(x), columns - 1)]
    left, top, width, height, area = (int(value) for value in boxes[label])
    found = label > 0 and area < _LARGEST * rows * columns
    return (left, top, width, height) if found else None


def _surround(x: float, y: float, columns: int) -> Box:
    reach = _RADIUS * columns
    return x - reach, y - reach, 2 * reach, 2 * reach


def _area(box: Box, columns: int, rows: int) -> Area:
    """Return a box in pixels as shares of the picture, cut at its border."""
    left, top = max(0.0, box[0] / columns), max(0.0, box[1] / rows)
    right, bottom = (box[0] + box[2]) / columns, (box[1] + box[3]) / rows
    return left, top, max(0.0, min(1.0, right) - left), max(0.0, min(1.0, bottom) - top)
