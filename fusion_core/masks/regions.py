"""Masks made from the frame itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from fusion_core.types import Box, FloatImage, Mask

# Regions are found in the thermal image at this width, less its surround of a quarter of that.
_WIDTH = 160
_SURROUND = 41
# A region stands out by this many deviations of the whole picture from its surround, and by at
# least this share of the thermal range.
_DEVIATIONS, _LEAST = 2.0, 0.08
# Around a box this share of its size, and some pixels more, is what its object stands out from.
_RING, _RING_PX = 0.5, 2
# An object reaches down to this share of the way from its surround to its hottest tenth: people's
# clothes are nearer to the air than their faces.
_SHARE, _HOTTEST = 0.3, 0.9
# Below this share of the thermal range nothing stands out.
_LEAST_CONTRAST = 0.04
# Of a box the corners are cut by this share of its shorter edge, and by at least so many pixels.
_CUT, _LEAST_CUT = 0.15, 3
# Boxes less than so many pixels apart may be one object in a mask.
_APART_PX = 2
VEHICLES: Final = frozenset({"vehicle", "car", "truck", "bus", "motorcycle", "train"})
"""Labels of detectors for what is warm in parts only: engine, wheels, exhaust."""


def hot_regions(thermal: FloatImage) -> FloatImage:
    """Return the regions that are clearly hotter than their surround, ``HxW`` in {0, 1}.

    A person, an engine, a lamp; not the sky, nor a sunlit wall that fills a quarter of the picture.

    Args:
        thermal: ``HxW`` float32 in [0, 1], hot is bright.
    """
    height, width = thermal.shape
    small_height = max(1, round(_WIDTH * height / width))
    small = cv2.resize(thermal, (_WIDTH, small_height), interpolation=cv2.INTER_AREA)
    contrast = small - cv2.blur(small, (_SURROUND, _SURROUND))
    least = max(_LEAST, _DEVIATIONS * float(contrast.std()))
    # Interpolation of the contrast, not of the mask, puts the border where the contrast ends.
    full = cv2.resize(contrast, (width, height), interpolation=cv2.INTER_LINEAR)
    hot = (full > least).astype(np.uint8)
    edge = 1 + 2 * max(1, width // 400)
    hot = np.asarray(cv2.morphologyEx(hot, cv2.MORPH_OPEN, np.ones((edge, edge), np.uint8)))
    return hot.astype(np.float32)


def fill_boxes(boxes: Sequence[Box], height: int, width: int) -> FloatImage:
    """Return boxes filled with 1 on a picture of 0, ``HxW``.

    A pixel is filled when its middle lies in a box.

    Args:
        boxes: Left, top, width, height in pixels.
        height: Rows of the picture.
        width: Columns of the picture.
    """
    mask = np.zeros((height, width), np.float32)
    for left, top, wide, high in boxes:
        edges = (left, top, left + wide, top + high)
        x0, y0, x1, y1 = (max(0, math.ceil(edge - 0.5)) for edge in edges)
        mask[y0:y1, x0:x1] = 1
    return mask


def object_regions(
    thermal: FloatImage | None, boxes: Sequence[Box], height: int, width: int
) -> FloatImage:
    """Return the objects in boxes, ``HxW`` in {0, 1}; the whole box where none stands out.

    Args:
        thermal: ``HxW`` float32 in [0, 1], hot is bright; None: no thermal image.
        boxes: Left, top, width, height in pixels.
        height: Rows of the picture.
        width: Columns of the picture.
    """
    mask = fill_boxes(boxes, height, width)
    if thermal is None:
        return mask
    objects = np.zeros_like(mask)
    for box in boxes:
        objects = np.maximum(objects, _object_in(thermal, box))
    return objects * mask


def surround_of(box: Box, inside: Mask) -> Mask:
    """Return what is around a box, ``HxW``, given what is inside: its object stands out from it."""
    return np.asarray((fill_boxes([_grown(*box)], *inside.shape) > 0) & ~inside)


def labelled_regions(
    thermal: FloatImage | None,
    objects: Sequence[tuple[str, Box]],
    height: int,
    width: int,
    *,
    boxes: bool = False,
) -> FloatImage:
    """Return the objects in boxes as :func:`object_regions`, of vehicles boxes without corners.

    Without these it is a shape, which networks take as it is; in a box they would look for what
    stands out, which of a vehicle is its engine.

    Args:
        thermal: ``HxW`` float32 in [0, 1], hot is bright; None: no thermal image.
        objects: Label and box of each.
        height: Rows of the picture.
        width: Columns of the picture.
        boxes: Of objects that touch no vehicle the box is marked: the network looks for them in it.
    """
    vehicles = [box for label, box in objects if label in VEHICLES]
    others = [box for label, box in objects if label not in VEHICLES]
    whole = [box for box in others if boxes and not any(_touch(box, other) for other in vehicles)]
    sought = [box for box in others if box not in whole]
    regions = np.maximum(
        object_regions(thermal, sought, height, width), fill_boxes(whole, height, width)
    )
    for box in vehicles:
        regions = np.maximum(regions, _without_corners(fill_boxes([box], height, width)))
    return regions


def _touch(first: Box, second: Box) -> bool:
    """Return whether two boxes lie less than two pixels apart."""
    return all(
        one[at] < other[at] + other[at + 2] + _APART_PX
        for one, other in ((first, second), (second, first))
        for at in (0, 1)
    )


def _without_corners(filled: FloatImage) -> FloatImage:
    """Return a filled box whose corners are cut off along the diagonal."""
    rows, columns = (np.flatnonzero(filled.any(axis)) for axis in (1, 0))
    if not (len(rows) and len(columns)):
        return filled
    down, across = (np.minimum(edge - edge[0], edge[-1] - edge) for edge in (rows, columns))
    cut = max(_LEAST_CUT, round(_CUT * min(len(rows), len(columns))))
    here = np.ix_(rows, columns)
    filled[here] = filled[here] * (down[:, None] + across >= cut)
    return filled


def _object_in(thermal: FloatImage, box: Box) -> FloatImage:
    """Return what is hotter than the surround of a box, or colder where that is clearer."""
    inside = fill_boxes([box], *thermal.shape) > 0
    ring = surround_of(box, inside)
    if not (ring.any() and inside.any()):
        return inside.astype(np.float32)
    surround = float(np.median(thermal[ring]))
    coldest, hottest = np.quantile(thermal[inside], (1 - _HOTTEST, _HOTTEST)) - surround
    contrast = float(hottest if hottest >= -coldest else coldest)
    if abs(contrast) < _LEAST_CONTRAST:
        return inside.astype(np.float32)
    return np.asarray(inside & ((thermal - surround) / contrast > _SHARE), np.float32)


def _grown(left: float, top: float, wide: float, high: float) -> Box:
    across, along = _RING * wide + _RING_PX, _RING / 2 * high + _RING_PX
    return left - across, top - along, wide + 2 * across, high + 2 * along
