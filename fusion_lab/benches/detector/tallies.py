"""Right and wrong detections of one set of pictures, and the figures they give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fusion_core.detection.boxes import FloatArray, overlaps
from fusion_core.detection.labels import CLASSES
from fusion_core.types import Modality
from fusion_lab.benches.detector.views import (
    BOTH,
    OTHER,
    REFERENCE,
    STATES,
    DetectorViews,
    Seen,
)
from fusion_lab.benches.intervals import Interval, bootstrap
from fusion_lab.benches.pictures import resized_pair
from fusion_lab.data import Example
from fusion_lab.data.labels import IGNORE
from fusion_lab.evaluation.precision import IOU, ClassScores, ClassTally, ap50_of


@dataclass(frozen=True, slots=True)
class TargetCounts:
    """How many targets of a working camera are found with the other one broken.

    The targets of a camera are the labelled objects that the reference detector finds in this
    camera's picture alone.

    Attributes:
        camera: The camera at work.
        label: Class of the targets.
        targets: Number of targets.
        both: Number found with both cameras at work.
        broken: State of the other camera -> number found.
    """

    camera: Modality
    label: str
    targets: int
    both: int
    broken: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SetFigures:
    """Figures of one set of pictures.

    Attributes:
        scores: View -> class -> scores, of the classes that occur.
        gains: Class -> AP50 with both cameras less that with the better one alone (the other one
            black).
        targets: One entry per camera and class; empty without a reference detector.
    """

    scores: Mapping[str, Mapping[str, ClassScores]]
    gains: Mapping[str, Interval]
    targets: tuple[TargetCounts, ...]


@dataclass(slots=True)
class SetTallies:
    """What was found in the pictures of one set.

    Attributes:
        tallies: View -> class -> detections of each picture, each right or wrong.
        thresholds: View -> score from which on its detector reports detections.
        targets: Working camera, class -> number of targets, and found in each state.
    """

    tallies: dict[str, dict[str, list[ClassTally]]] = field(default_factory=dict)
    thresholds: dict[str, float] = field(default_factory=dict)
    targets: dict[tuple[Modality, str], dict[str, int]] = field(default_factory=dict)

    def count_pair(self, views: Mapping[str, Seen], pair: Example) -> None:
        """Count what was found in the views of one labelled pair."""
        ignore = _boxes(pair, IGNORE)
        for name, seen in views.items():
            self.thresholds[name] = seen.threshold
            by_class = self.tallies.setdefault(name, {label: [] for label in CLASSES})
            for number, label in enumerate(CLASSES):
                own, tally = seen.found.take(seen.found.classes == number), ClassTally()
                tally.add(own.boxes, own.scores, _boxes(pair, number), ignore)
                by_class[label].append(tally)

    def count_targets(self, views: Mapping[str, Seen], pair: Example) -> None:
        """Count the targets of each camera that are found with the other one broken."""
        for working, broken in OTHER.items():
            for number, label in enumerate(CLASSES):
                objects = _boxes(pair, number)
                target = _hits(views[REFERENCE + working], number, objects)
                found = {BOTH: BOTH, **{state: f"{broken} {state}" for state in STATES}}
                counts = {"targets": int(target.sum())}
                for state, view in found.items():
                    counts[state] = int((target & _hits(views[view], number, objects)).sum())
                row = self.targets.setdefault((working, label), dict.fromkeys(counts, 0))
                for key, count in counts.items():
                    row[key] += count

    def figures(self) -> SetFigures:
        """Return the figures of the whole set."""
        scores = {
            view: {
                label: ClassTally.merged(tallies).sum_up(self.thresholds[view])
                for label, tallies in by_class.items()
                if any(tally.objects for tally in tallies)
            }
            for view, by_class in self.tallies.items()
        }
        both, *single = (self.tallies[view] for view in (BOTH, "visible black", "thermal black"))
        gains = {
            label: gain_of_both(both[label], [one[label] for one in single])
            for label in CLASSES
            if any(tally.objects for tally in both[label])
        }
        targets = tuple(
            TargetCounts(
                camera, label, row["targets"], row[BOTH], {state: row[state] for state in STATES}
            )
            for (camera, label), row in self.targets.items()
        )
        return SetFigures(scores, gains, targets)


def tally_set(pairs: list[Example], views: DetectorViews) -> SetFigures:
    """Return the figures of a set; a frozen camera shows a picture from half the set away."""
    tallies = SetTallies()
    for number, pair in enumerate(pairs):
        height, width = pair.second.shape
        other = resized_pair(pairs[(number + len(pairs) // 2) % len(pairs)], (width, height))
        seen = views.see(pair, other)
        tallies.count_pair(seen, pair)
        if views.has_reference:
            tallies.count_targets(seen | views.see_streams(pair, other), pair)
    return tallies.figures()


def gain_of_both(both: list[ClassTally], single: list[list[ClassTally]]) -> Interval:
    """Return the gain in AP50 of both cameras over the better single one."""
    better = max(single, key=lambda tallies: ap50_of(tallies, range(len(tallies))))

    def gain(picks: NDArray[np.int64]) -> float:
        return ap50_of(both, picks) - ap50_of(better, picks)

    return bootstrap(gain, len(both))


def _boxes(pair: Example, number: int) -> FloatArray:
    """Return ``Nx4`` corners of the labelled boxes of a class, or of the regions to ignore."""
    assert pair.labels is not None, "labelled pairs were read"
    boxes, classes = pair.labels
    return np.asarray(boxes[classes == number], np.float64)


def _hits(seen: Seen, number: int, objects: FloatArray) -> NDArray[np.bool_]:
    """Return which objects of a class were found at the threshold."""
    mine = (seen.found.classes == number) & (seen.found.scores >= seen.threshold)
    own = seen.found.take(mine)
    return np.asarray((overlaps(objects, own.boxes) >= IOU).any(axis=1))
