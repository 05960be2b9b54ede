"""What is taken for people that is none, by what the labels say of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from fusion_core.detection.boxes import Candidates, FloatArray, areas, intersections, overlaps
from fusion_core.detection.labels import CLASSES, read_labels
from fusion_lab.data import Example
from fusion_lab.data.labels import PERSON
from fusion_lab.evaluation.precision import IOU

UNLABELLED: Final = "nothing labelled"
TWICE: Final = "a person found twice or inexactly"


@dataclass(slots=True)
class ClutterCounts:
    """False people of a set of pictures.

    Attributes:
        pictures: Number of pictures.
        false: Kind of thing -> detections: a class, another label, or neither.
        labelled: Kind of thing -> number in the labels, of those that are no people.
    """

    pictures: int = 0
    false: Counter[str] = field(default_factory=Counter)
    labelled: Counter[str] = field(default_factory=Counter)

    def count(self, found: Candidates, pair: Example) -> None:
        """Take in one picture.

        A false person is the labelled thing that it lies on by half of its area or of the thing's;
        in a region to ignore it is no false one.

        Args:
            found: What the detector reports.
            pair: The picture and its labels.
        """
        self.pictures += 1
        truth = read_labels(pair.folder / "labels", pair.name, *pair.second.shape)
        people = found.take(found.classes == PERSON)
        things = {name: truth.objects[name] for name in CLASSES[1:]} | dict(truth.others)
        self.labelled.update({name: len(boxes) for name, boxes in things.items() if len(boxes)})
        free = np.ones(len(truth.objects["person"]), bool)
        for box in people.boxes:
            own = overlaps(box[None], truth.objects["person"])[0] * free
            if own.size and own.max() >= IOU:
                free[int(own.argmax())] = False
            elif not _covered(box, truth.ignore):
                self.false[_kind(box, truth.objects["person"], things)] += 1


def _kind(box: FloatArray, people: FloatArray, things: dict[str, FloatArray]) -> str:
    shares = {name: _share(box, boxes) for name, boxes in things.items()}
    shares[TWICE] = _share(box, people)
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= IOU else UNLABELLED


def _share(box: FloatArray, boxes: FloatArray) -> float:
    """Return the largest share, of a box or of one of the others, that they have in common."""
    if not len(boxes):
        return 0.0
    least = np.minimum(areas(box[None])[0], areas(boxes))
    return float((intersections(box[None], boxes)[0] / np.maximum(least, 1e-9)).max())


def _covered(box: FloatArray, regions: FloatArray) -> bool:
    if not len(regions):
        return False
    return bool((intersections(box[None], regions)[0] >= IOU * areas(box[None])[0]).any())
