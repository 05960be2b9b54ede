"""How well detections meet labelled boxes: average precision and recall, by pycocotools.

Definitions are those of COCO (Lin et al., 2014) for objects of any size: per picture and class the
detections, best first, each take the free labelled box that they overlap most, from IoU 0.5 on.
Regions to ignore are COCO's crowds: a detection that takes no object, but lies by half of its own
area in such a region, does not count at all. However many detections there are in a picture, all
count; COCO's own tables cut them at 100.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.detection.boxes import FloatArray
from fusion_core.errors import missing_extra

IOU = 0.5
"""Overlap from which on a detection is right."""
_IOUS = np.arange(10, 20) / 20  # those that AP is the mean of; the first is IOU


@dataclass(frozen=True, slots=True)
class ClassScores:
    """Scores of one class on a set of pictures; nan where nothing is labelled or found.

    Attributes:
        objects: Labelled objects.
        ap50: Average precision at IoU 0.5.
        ap: Mean of those at IoU 0.5, 0.55, ..., 0.95.
        recall: Share of objects found at the threshold.
        precision: Share of detections at the threshold that are right.
        recall_at_one: Share of objects found at one false detection per picture.
        recall_at_tenth: The same at one false detection in ten pictures.
    """

    objects: int
    ap50: float
    ap: float
    recall: float
    precision: float
    recall_at_one: float
    recall_at_tenth: float


@dataclass(slots=True)
class ClassTally:
    """Detections of one class over many pictures, each right, wrong, or of no account.

    Attributes:
        pictures: What pycocotools found for each picture; None where nothing is labelled or found.
    """

    pictures: list[dict[str, Any] | None] = field(default_factory=list)

    def add(
        self, boxes: FloatArray, scores: FloatArray, objects: FloatArray, ignore: FloatArray
    ) -> None:
        """Take in one picture.

        Args:
            boxes: ``Nx4`` corners of the detections.
            scores: Their ``N`` scores.
            objects: ``Mx4`` corners of the labelled objects.
            ignore: ``Ix4`` corners of regions that could not be labelled.

        Raises:
            MissingExtraError: pycocotools is not installed.
        """
        labelled = [_annotation(box) for box in objects]
        labelled += [{**_annotation(box), "iscrowd": 1, "ignore": 1} for box in ignore]
        found = [
            {**_annotation(box), "score": float(score)}
            for box, score in zip(boxes, scores, strict=True)
        ]
        evaluation = _evaluation(len(found))
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.cocoGt, evaluation.cocoDt = _coco(labelled), _coco(found)
            evaluation.params.imgIds, evaluation.params.catIds = [0], [0]
            evaluation.evaluate()
        self.pictures += evaluation.evalImgs

    @classmethod
    def merged(cls, tallies: Iterable[ClassTally]) -> ClassTally:
        """Return one tally of the pictures of many."""
        return cls([picture for tally in tallies for picture in tally.pictures])

    @property
    def objects(self) -> int:
        """Labelled objects."""
        return sum(int((np.asarray(p["gtIgnore"]) == 0).sum()) for p in self.pictures if p)

    def verdicts(self) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return scores and whether they are right of all detections that count, best first."""
        known = [picture for picture in self.pictures if picture]
        scores = np.array([score for p in known for score in p["dtScores"]], np.float64)
        counts = np.array([flag == 0 for p in known for flag in p["dtIgnore"][0]], np.bool_)
        right = np.array([match > 0 for p in known for match in p["dtMatches"][0]], np.bool_)
        order = np.argsort(-scores[counts], kind="stable")
        return scores[counts][order], right[counts][order]

    def sum_up(self, threshold: float) -> ClassScores:
        """Return the scores, those at a threshold for this least score."""
        scores, right = self.verdicts()
        sure = int((scores >= threshold).sum())
        false, pictures, objects = np.cumsum(~right), len(self.pictures), self.objects
        precision = self.average_precision() if objects else [math.nan]

        def share(count: float, whole: float) -> float:
            return count / whole if whole else math.nan

        return ClassScores(
            objects=objects,
            ap50=float(precision[0]),
            ap=float(np.mean(precision)),
            recall=share(float(right[:sure].sum()), objects),
            precision=share(float(right[:sure].sum()), sure),
            recall_at_one=share(float(right[false <= pictures].sum()), objects),
            recall_at_tenth=share(float(right[false <= pictures / 10].sum()), objects),
        )

    def average_precision(self, overlaps: int = len(_IOUS)) -> FloatArray:
        """Return the mean of the interpolated precision at the recalls 0, 0.01, ..., 1.

        Args:
            overlaps: For how many of the overlaps 0.5, 0.55, ..., 0.95.
        """
        pictures = [
            {**p, **{key: p[key][:overlaps] for key in ("dtMatches", "dtIgnore")}} if p else None
            for p in self.pictures
        ]
        most = max(len(picture["dtScores"]) for picture in pictures if picture)
        evaluation = _evaluation(most)
        evaluation.params.imgIds = list(range(len(pictures)))
        evaluation.params.catIds = [0]
        evaluation.params.iouThrs = _IOUS[:overlaps]
        # COCOeval.evaluate would set these two from data sets of whole pictures.
        evaluation.evalImgs, evaluation._paramsEval = pictures, evaluation.params
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.accumulate()
        return np.asarray(evaluation.eval["precision"].mean(axis=(1, 2, 3, 4)), np.float64)


def ap50_of(tallies: Sequence[ClassTally], picks: Iterable[int]) -> float:
    """Return the average precision at IoU 0.5 on some pictures, as often as they were picked."""
    drawn = ClassTally.merged(tallies[pick] for pick in picks)
    return float(drawn.average_precision(1)[0]) if drawn.objects else math.nan


def _evaluation(detections: int) -> Any:  # noqa: ANN401 - pycocotools has no types
    """Return COCO's evaluation of boxes of any size that counts this many per picture."""
    try:
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        raise missing_extra("average precision", "pycocotools", "lab") from None
    evaluation = COCOeval(iouType="bbox")
    evaluation.params.iouThrs = _IOUS
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, math.inf]], ["all"]
    evaluation.params.maxDets = [max(1, detections)]
    return evaluation


def _coco(annotations: list[dict[str, Any]]) -> Any:  # noqa: ANN401 - pycocotools has no types
    """Return annotations of the one picture and class as a data set."""
    from pycocotools.coco import COCO

    dataset = COCO()
    numbered = [{**entry, "id": number} for number, entry in enumerate(annotations, 1)]
    dataset.dataset = {"images": [{"id": 0}], "categories": [{"id": 0}], "annotations": numbered}
    dataset.createIndex()
    return dataset


def _annotation(box: FloatArray) -> dict[str, Any]:
    """Return corners as one entry of a data set."""
    left, top, right, bottom = (float(edge) for edge in box)
    width, height = right - left, bottom - top
    return {
        "image_id": 0,
        "category_id": 0,
        "bbox": [left, top, width, height],
        "area": width * height,
        "iscrowd": 0,
    }
