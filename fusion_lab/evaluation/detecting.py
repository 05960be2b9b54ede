"""Scores of fused images by a fixed detector: its finds in them and in their sources."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusion_core.detection import Detector
from fusion_core.detection.boxes import Candidates, overlaps
from fusion_core.detection.labels import CLASS_OF, CLASSES, read_labels
from fusion_core.types import Detection, UInt8Image
from fusion_lab.data import Example, PairFiles, aligned_pair, read_example
from fusion_lab.evaluation.methods import Method
from fusion_lab.evaluation.precision import ClassScores, ClassTally
from fusion_lab.evaluation.scoring import finite

_LEAST_SCORE = 0.01


@dataclass(frozen=True, slots=True)
class DetectionScores:
    """The finds of a detector in each kind of picture.

    Attributes:
        detector: File of the detector.
        threshold: Least score for recall and precision.
        pictures: Number of labelled pictures.
        inputs: Kind of picture (``visible``, ``thermal``, each method; ``pair`` for a detector
            that takes both cameras) -> class -> scores.
    """

    detector: str
    threshold: float
    pictures: int
    inputs: Mapping[str, Mapping[str, ClassScores]]

    def mean_ap50(self, name: str) -> float:
        """Return the mean over the classes that occur, nan when none does."""
        known = [s.ap50 for s in self.inputs[name].values() if not math.isnan(s.ap50)]
        return sum(known) / len(known) if known else math.nan

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; undefined values become None."""
        return {
            "detector": self.detector,
            "iou": 0.5,
            "score_threshold": self.threshold,
            "pictures": self.pictures,
            "inputs": {
                name: {
                    "mAP50": finite(self.mean_ap50(name)),
                    **{label: _plain(scores) for label, scores in classes.items()},
                }
                for name, classes in self.inputs.items()
            },
        }


def score_by_detection(
    detector: Detector,
    pairs: Sequence[PairFiles],
    methods: Sequence[Method],
    on_scored: Callable[[], object] | None = None,
) -> DetectionScores:
    """Run a detector on visible, thermal and fused images of labelled pairs.

    Args:
        detector: The detector; one for pairs runs once on each pair, and on no fused image.
        pairs: The pairs, each with a label file.
        methods: Where fused images come from.
        on_scored: Called after each pair.

    Raises:
        SourceError: A label file is missing or malformed, or a picture cannot be read.
        DetectorError: The detector fails.
    """
    tallies: dict[str, dict[str, ClassTally]] = {}
    for files in pairs:
        pair = read_example(files)
        labels = read_labels(files.folder / "labels", files.stem, *pair.second.shape)
        aligned = aligned_pair(pair.first, pair.second)
        for name, picture in _pictures(detector, pair, methods):
            found = grouped(detector.detect(picture, aligned, score=_LEAST_SCORE), detector)
            by_class = tallies.setdefault(name, {label: ClassTally() for label in CLASSES})
            for number, label in enumerate(CLASSES):
                own = found.take(found.classes == number)
                by_class[label].add(own.boxes, own.scores, labels.objects[label], labels.ignore)
        if on_scored:
            on_scored()
    threshold = detector.card.conf
    return DetectionScores(
        detector=str(detector.path),
        threshold=threshold,
        pictures=len(pairs),
        inputs={
            name: {label: tally.sum_up(threshold) for label, tally in by_class.items()}
            for name, by_class in tallies.items()
        },
    )


def _pictures(
    detector: Detector, pair: Example, methods: Sequence[Method]
) -> Iterator[tuple[str, UInt8Image]]:
    """Iterate over the pictures that the detector runs on, by name."""
    if detector.takes_pair:
        yield "pair", pair.first
        return
    yield "visible", pair.first
    yield "thermal", as_colour(pair.second)
    for method in methods:
        yield method.name, as_colour(method.fuse(pair))


def grouped(found: Sequence[Detection], detector: Detector) -> Candidates:
    """Return detections with the numbers of the classes scored; others are left out.

    A car that was found as a truck, too, is then one vehicle found twice; the better box stays.
    What bears one name was parted by the detector itself, and stays.
    """
    known = [(CLASS_OF[d.label.lower()], d) for d in found if d.label.lower() in CLASS_OF]
    boxes = np.array([d.box for _, d in known], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    scores = np.array([d.score for _, d in known], np.float64)
    classes = np.array([CLASSES.index(label) for label, _ in known], np.int64)
    names = np.array([d.label.lower() for _, d in known], np.str_)
    order = np.argsort(-scores, kind="stable")
    candidates, names = Candidates(boxes, scores, classes).take(order), names[order]
    same = classes[order][:, None] == classes[order][None]
    twice = overlaps(candidates.boxes, candidates.boxes) > detector.card.iou
    hidden = np.triu(twice & same & (names[:, None] != names[None]))
    return candidates.take(~hidden.any(axis=0))


def as_colour(image: UInt8Image) -> UInt8Image:
    """Return ``HxWx3`` of a picture in colour, or of a gray one ``HxW``."""
    return image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2)


def _plain(scores: ClassScores) -> dict[str, Any]:
    return {
        "objects": scores.objects,
        "AP50": finite(scores.ap50),
        "AP": finite(scores.ap),
        "recall": finite(scores.recall),
        "precision": finite(scores.precision),
        "recall_at_1_false_per_picture": finite(scores.recall_at_one),
        "recall_at_0.1_false_per_picture": finite(scores.recall_at_tenth),
    }
