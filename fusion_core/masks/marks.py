"""What operators have marked, as the mask of a network."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np

from fusion_core.errors import MaskError
from fusion_core.masks.person_at import person_at
from fusion_core.masks.regions import hot_regions, labelled_regions
from fusion_core.types import Box, Detection, FloatImage

_MOST: Final = 32
_RADIUS: Final = 0.05  # of the picture's width: what a click on nothing in particular marks
# Overlap with the box of a person at a click that must be expected, or none is there.
_LIKELY: Final = 0.5
# A hot region larger than this share of the picture is background, and not what was meant.
_LARGEST: Final = 0.25

Point = tuple[float, float]
"""Place in the picture, both in shares of its size from the top left corner."""
Area = tuple[float, float, float, float]
"""Left, top, width and height, in shares of the picture's size."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What can be marked.

    Attributes:
        height: Rows of the picture.
        width: Columns of the picture.
        thermal: ``HxW`` thermal image in [0, 1] on the same grid, None where there is none.
        detections: What was found last.
    """

    height: int
    width: int
    thermal: FloatImage | None
    detections: tuple[Detection, ...] = ()

    def share_of(self, x: float, y: float) -> Point:
        """Return a place in pixels as shares of the picture.

        Raises:
            MaskError: It lies outside.
        """
        if not (0 <= x < self.width and 0 <= y < self.height):
            raise MaskError(f"outside of the visible image of {self.width}x{self.height} pixels")
        return x / self.width, y / self.height

    def area_of(self, box: Box) -> Area:
        """Return a box in pixels as shares of the picture, cut at its border."""
        left, top = max(0.0, box[0] / self.width), max(0.0, box[1] / self.height)
        right, bottom = (box[0] + box[2]) / self.width, (box[1] + box[3]) / self.height
        return left, top, max(0.0, min(1.0, right) - left), max(0.0, min(1.0, bottom) - top)


@dataclass(frozen=True, slots=True)
class MarkedArea:
    """One mark.

    Attributes:
        number: Its number since the start.
        area: Left, top, width and height in shares of the picture.
        track: Identity of the object that it follows, None for a place.
        label: What the detector calls that object; empty: nobody knows.
    """

    number: int
    area: Area
    track: int | None = None
    label: str = ""


class Marks:
    """The marks in force; callable from any thread."""

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

    def add_point(self, point: Point, scene: Scene) -> None:
        """Mark what lies at a point: what was detected, a person, a hot region, or its surround.

        Raises:
            MaskError: There are too many marks.
        """
        x, y = point[0] * scene.width, point[1] * scene.height
        found = _nearest_at(scene.detections, x, y)
        box = found.box if found else _box_at(scene, x, y)
        track = found.track_id if found else None
        label = found.label if found else ""
        self._add(MarkedArea(next(self._numbers), scene.area_of(box), track, label))

    def remove(self, number: int | None) -> None:
        """Take back one mark, or all for None."""
        with self._lock:
            self._marks = tuple(
                mark for mark in self._marks if number is not None and mark.number != number
            )

    def follow(self, scene: Scene) -> None:
        """Move the marks of known objects to where these are now."""
        boxes = {found.track_id: found.box for found in scene.detections}
        with self._lock:
            self._marks = tuple(
                replace(mark, area=scene.area_of(boxes[mark.track]))
                if mark.track is not None and mark.track in boxes
                else mark
                for mark in self._marks
            )

    def mask(self, scene: Scene, *, boxes: bool = False) -> FloatImage:
        """Return what is marked, ``HxW`` in {0, 1}: the objects in the marked areas.

        Args:
            scene: What is there.
            boxes: Return their boxes, for a network that finds objects in these itself. Vehicles
                are shapes, and so are objects whose boxes touch one.
        """
        columns, rows = scene.width, scene.height
        objects = []
        for mark in self._marks:
            left, top, width, height = mark.area
            box = (left * columns, top * rows, width * columns, height * rows)
            objects.append((mark.label, box))
        return labelled_regions(scene.thermal, objects, rows, columns, boxes=boxes)

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


def _nearest_at(detections: tuple[Detection, ...], x: float, y: float) -> Detection | None:
    """Return the detection in whose box a point lies most in the middle."""

    def off(found: Detection) -> float:
        left, top, width, height = found.box
        return max(abs((x - left) / width - 0.5), abs((y - top) / height - 0.5))

    there = (found for found in detections if _covers(found.box, x, y))
    return min(there, key=off, default=None)


def _covers(box: Box, x: float, y: float) -> bool:
    left, top, width, height = box
    return left <= x < left + width and top <= y < top + height


def _box_at(scene: Scene, x: float, y: float) -> Box:
    """Return the box of the person at a point, or of the hot region there, or of its surround."""
    if scene.thermal is not None:
        person = person_at(scene.thermal, x, y)
        if person.overlap >= _LIKELY:
            return person.box
    return _hot_box(scene.thermal, x, y) or _around(x, y, scene.width)


def _hot_box(thermal: FloatImage | None, x: float, y: float) -> Box | None:
    """Return the box of the hot region at a point, None where there is none."""
    if thermal is None:
        return None
    regions = (hot_regions(thermal) > 0).astype(np.uint8)
    rows, columns = regions.shape
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(regions)
    label = labels[min(int(y), rows - 1), min(int(x), columns - 1)]
    left, top, width, height, area = (int(value) for value in boxes[label])
    found = label > 0 and area < _LARGEST * rows * columns
    return (left, top, width, height) if found else None


def _around(x: float, y: float, columns: int) -> Box:
    reach = _RADIUS * columns
    return x - reach, y - reach, 2 * reach, 2 * reach
