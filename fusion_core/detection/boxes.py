"""Boxes as arrays.

Coordinates are measured from the outer corner of the top-left pixel, as in COCO and YOLO: the
pixel in column i and row j is the box ``(i, j, i + 1, j + 1)``.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
_MOST = 300


class Candidates(NamedTuple):
    """What a network proposes.

    Attributes:
        boxes: ``Nx4`` left, top, right, bottom.
        scores: ``N`` in [0, 1].
        classes: ``N`` class numbers.
    """

    boxes: FloatArray
    scores: FloatArray
    classes: NDArray[np.int64]

    def take(self, index: NDArray[np.bool_] | NDArray[np.int64]) -> Candidates:
        """Return those at an index or where a mask holds."""
        return Candidates(self.boxes[index], self.scores[index], self.classes[index])


def corners_of(centred: FloatArray) -> FloatArray:
    """Return ``Nx4`` left, top, right, bottom of ``Nx4`` centre x, centre y, width, height."""
    half = centred[:, 2:] / 2
    return np.hstack([centred[:, :2] - half, centred[:, :2] + half])


def overlaps(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the ``NxM`` intersection over union of ``Nx4`` and ``Mx4`` corners."""
    shared = intersections(first, second)
    union = areas(first)[:, None] + areas(second)[None] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def intersections(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the ``NxM`` areas that ``Nx4`` and ``Mx4`` corners share."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2))


def areas(boxes: FloatArray) -> FloatArray:
    """Return the ``N`` areas of ``Nx4`` corners."""
    return np.asarray(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1))


def strongest(found: Candidates, threshold: float, iou: float | None) -> Candidates:
    """Return the best candidates, highest score first, at most 300.

    Args:
        found: All candidates.
        threshold: Least score.
        iou: Of two boxes of one class that overlap more than this the weaker one goes (greedy
            non-maximum suppression); None for networks that give each object once.
    """
    found = found.take(found.scores >= threshold)
    found = found.take(np.argsort(-found.scores, kind="stable"))
    if iou is None or not len(found.scores):
        return found.take(np.arange(min(len(found.scores), _MOST)))
    sizes = found.boxes[:, 2:] - found.boxes[:, :2]
    kept = cv2.dnn.NMSBoxesBatched(
        np.hstack([found.boxes[:, :2], sizes]).tolist(),
        found.scores.tolist(),
        found.classes.tolist(),
        0.0,
        iou,
        top_k=_MOST,
    )
    return found.take(np.sort(np.asarray(kept, np.int64)))
