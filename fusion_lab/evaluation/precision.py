"""How well detections meet labelled boxes: average precision and recall at IoU 0.5.

Definitions are those of COCO (Lin et al., 2014) for objects of any size: per picture and class the
detections, best first, each take the free labelled box that they overlap most, from IoU 0.5 on. One
that takes none, but lies by half of its own area in a region to ignore, does not count at all.
Average precision is the mean of the interpolated precision at the recalls 0, 0.01, ..., 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from fusion_core.detection.boxes import FloatArray, areas, intersections, overlaps

IOU = 0.5
_IGNORED_SHARE = 0.5
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of one class on a set of pictures; nan where nothing is labelled or found.

    Attributes:
        objects: Labelled objects.
        ap50: Average precision at IoU 0.5.
        recall: Share of objects found at the threshold.
        precision: Share of detections at the threshold that are right.
        recall_at_one: Share of objects found at one false detection per picture.
    """

    objects: int
    ap50: float
    recall: float
    precision: float
    recall_at_one: float


@dataclass(slots=True)
class ClassTally:
    """Detections of one class over many pictures, each right or wrong."""

    pictures: int = 0
    objects: int = 0
    scores: list[float] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)

    def add(
        self, boxes: FloatArray, scores: FloatArray, objects: FloatArray, ignore: FloatArray
    ) -> None:
        """Take in one picture.

        Args:
            boxes: ``Nx4`` corners of the detections.
            scores: Their ``N`` scores.
            objects: ``Mx4`` corners of the labelled objects.
            ignore: ``Ix4`` corners of regions that could not be judged.
        """
        order = np.argsort(-scores, kind="stable")
        verdicts = match(boxes[order], objects, ignore)
        self.pictures += 1
        self.objects += len(objects)
        for score, verdict in zip(scores[order], verdicts, strict=True):
            if verdict is not None:
                self.scores.append(float(score))
                self.right.append(verdict)

    @classmethod
    def merged(cls, tallies: Iterable[ClassTally]) -> ClassTally:
        """Return one tally of the pictures of many."""
        whole = cls()
        for tally in tallies:
            whole.pictures += tally.pictures
            whole.objects += tally.objects
            whole.scores += tally.scores
            whole.right += tally.right
        return whole

    def sum_up(self, threshold: float) -> ClassScores:
        """Return the scores, those at a threshold for this least score."""
        order = np.argsort(-np.array(self.scores), kind="stable")
        scores = np.array(self.scores)[order]
        right = np.array(self.right, np.bool_)[order]
        hits = np.cumsum(right, dtype=np.float64)
        misses = np.cumsum(~right, dtype=np.float64)
        sure = int((scores >= threshold).sum())
        allowed = int((misses <= self.pictures).sum())

        def share(count: float, whole: float) -> float:
            return count / whole if whole else math.nan

        return ClassScores(
            objects=self.objects,
            ap50=_average_precision(hits, misses, self.objects),
            recall=share(float(right[:sure].sum()), self.objects),
            precision=share(float(right[:sure].sum()), sure),
            recall_at_one=share(float(right[:allowed].sum()), self.objects),
        )


def match(boxes: FloatArray, objects: FloatArray, ignore: FloatArray) -> Sequence[bool | None]:
    """Return for each detection, best first: right, wrong, or None where it does not count."""
    iou = overlaps(boxes, objects)
    free = np.ones(len(objects))
    shared = intersections(boxes, ignore)
    own = np.maximum(areas(boxes), 1e-12)[:, None]
    passed_over = np.any(shared / own >= _IGNORED_SHARE, axis=1)
    verdicts: list[bool | None] = []
    for row, overlapping in enumerate(iou):
        reach = free * overlapping
        if len(reach) and reach.max() >= IOU:
            free[reach.argmax()] = 0
            verdicts.append(True)
        else:
            verdicts.append(None if passed_over[row] else False)
    return verdicts


def _average_precision(hits: FloatArray, misses: FloatArray, objects: int) -> float:
    """Return the mean precision at 101 recalls; at each the best that is reached from there on."""
    if not objects:
        return math.nan
    if not len(hits):
        return 0.0
    recall, precision = hits / objects, hits / (hits + misses)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, _RECALLS, side="left")
    reached = places < len(envelope)
    return float(np.where(reached, envelope[np.minimum(places, len(envelope) - 1)], 0.0).mean())
