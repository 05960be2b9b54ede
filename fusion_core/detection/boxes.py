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
MAX_DETECTIONS = 1000
"""Most objects of one picture; a bound on what a faulty network can cost, beyond any crowd."""

_BLOCK = 1000


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
    """Return the best candidates, highest score first, at most ``MAX_DETECTIONS``.

    Every candidate above the threshold takes part in the suppression; what is cut is cut after it.

    Args:
        found: All candidates.
        threshold: Least score.
        iou: Of two boxes of one class that overlap more than this the weaker one goes (greedy
            non-maximum suppression); None for networks that give each object once.
    """
    found = found.take(found.scores >= threshold)
    found = found.take(np.argsort(-found.scores, kind="stable"))
    if iou is not None and len(found.scores):
        found = _suppressed(found, iou)
    return found.take(np.arange(min(len(found.scores), MAX_DETECTIONS)))


def _suppressed(found: Candidates, iou: float) -> Candidates:
    """Return candidates, sorted by score, without the weaker ones of overlapping boxes.

    Block by block, so that the work grows with the objects and not with the square of the
    candidates; the result is that of one greedy pass, which ends at ``MAX_DETECTIONS``.
    """
    kept = found.take(np.arange(0))
    for start in range(0, len(found.scores), _BLOCK):
        block = found.take(np.arange(start, min(start + _BLOCK, len(found.scores))))
        same_class = block.classes[:, None] == kept.classes[None]
        hidden = same_class & (overlaps(block.boxes, kept.boxes) > iou)
        block = _suppressed_block(block.take(~hidden.any(axis=1)), iou)
        kept = Candidates(*(np.concatenate(parts) for parts in zip(kept, block, strict=True)))
        if len(kept.scores) >= MAX_DETECTIONS:
            break
    return kept


def _suppressed_block(block: Candidates, iou: float) -> Candidates:
    if not len(block.scores):
        return block
    sizes = block.boxes[:, 2:] - block.boxes[:, :2]
    # Its `top_k` would cut the candidates before the suppression.
    kept = cv2.dnn.NMSBoxesBatched(
        np.hstack([block.boxes[:, :2], sizes]).tolist(),
        block.scores.tolist(),
        block.classes.tolist(),
        0.0,
        iou,
    )
    return block.take(np.sort(np.asarray(kept, np.int64)))
