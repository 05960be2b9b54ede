"""Scores place by place, with a detector for each that has not seen it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.detection import Detector
from fusion_core.detection.labels import CLASSES
from fusion_core.errors import UsageError
from fusion_lab.benches.detector.clutter import ClutterCounts
from fusion_lab.benches.detector.reliability import (
    CommonThreshold,
    ReliabilityBin,
    common_threshold,
    reliability,
)
from fusion_lab.benches.detector.views import LEAST_SCORE, read_labelled
from fusion_lab.benches.intervals import Interval
from fusion_lab.data import Example, aligned_pair, dataset_name
from fusion_lab.data.labels import IGNORE, BoxLabels
from fusion_lab.evaluation.detecting import grouped
from fusion_lab.evaluation.precision import ClassTally

FIGURES: Final = ("ap50", "ap", "recall_at_one", "recall_at_tenth")
_DRAWS: Final = 200


@dataclass(frozen=True, slots=True)
class PlaceScores:
    """Scores of one class at one place.

    Attributes:
        place: Name of the recording, or of the set where its pictures are scenes of their own.
        detector: File of the detector.
        label: The class.
        pictures: Number of pictures.
        objects: Labelled objects.
        figures: Each of ``FIGURES``, with its interval over the pictures.
    """

    place: str
    detector: str
    label: str
    pictures: int
    objects: int
    figures: Mapping[str, Interval]


@dataclass(slots=True)
class PlaceTally:
    """What was found at one place.

    Attributes:
        tallies: Class -> detections of each picture.
        clutter: What false people were.
    """

    tallies: dict[str, list[ClassTally]] = field(
        default_factory=lambda: {label: [] for label in CLASSES}
    )
    clutter: ClutterCounts = field(default_factory=ClutterCounts)


@dataclass(frozen=True, slots=True)
class PlacesFigures:
    """Figures of all places.

    Attributes:
        scores: One entry per place and class that occurs there.
        bins: Place -> how often people of a score are right.
        clutter: Place -> what false people were.
        common: Class -> recall with one threshold for all places, of the classes that occur.
    """

    scores: tuple[PlaceScores, ...]
    bins: Mapping[str, Sequence[ReliabilityBin]]
    clutter: Mapping[str, ClutterCounts]
    common: Mapping[str, CommonThreshold]


def measure_places(
    folders: Sequence[Path], default: str, left_out: Mapping[str, str], tiles: int = 1
) -> PlacesFigures:
    """Run the detector of each place on its pictures.

    Args:
        folders: Sets of labelled pairs.
        default: The detector, of places for which no other is named.
        left_out: Place -> ONNX file of a detector that was trained without it.
        tiles: As the setting ``detection.tiles``.

    Raises:
        UsageError: A detector is named for a place that there is not.
    """
    groups: dict[str, list[Example]] = {}
    for folder in folders:
        for pair in read_labelled(folder):
            groups.setdefault(_place(folder, pair), []).append(pair)
    for place in left_out:
        if place not in groups:
            raise UsageError(f"--left-out {place}: no such place; there are {', '.join(groups)}")
    scores: list[PlaceScores] = []
    bins, clutter, found = {}, {}, []
    for place, pairs in groups.items():
        detector = Detector(left_out.get(place, default), tiles=tiles)
        tally = _tally(detector, pairs)
        scores += _scores(place, detector, tally)
        bins[place] = reliability(tally.tallies["person"])
        clutter[place] = tally.clutter
        found.append(tally.tallies)
    common = {
        label: common_threshold([tallies[label] for tallies in found])
        for label in dict.fromkeys(score.label for score in scores)
    }
    return PlacesFigures(tuple(scores), bins, clutter, common)


def _place(folder: Path, pair: Example) -> str:
    alone = pair.scene.endswith(f"/{pair.name}")
    return dataset_name([folder]) if alone else Path(pair.scene).name


def _tally(detector: Detector, pairs: Sequence[Example]) -> PlaceTally:
    result = PlaceTally()
    for pair in pairs:
        assert pair.labels is not None, "labelled pairs were read"
        aligned = aligned_pair(pair.first, pair.second)
        found = grouped(detector.detect(pair.first, aligned, score=LEAST_SCORE), detector)
        for number, label in enumerate(CLASSES):
            own, tally = found.take(found.classes == number), ClassTally()
            objects, ignore = (_boxes(pair.labels, n) for n in (number, IGNORE))
            tally.add(own.boxes, own.scores, objects, ignore)
            result.tallies[label].append(tally)
        sure = found.take(found.scores >= detector.card.conf)
        result.clutter.count(sure, pair)
    return result


def _boxes(labels: BoxLabels, number: int) -> NDArray[np.float64]:
    return np.asarray(labels.boxes[labels.classes == number], np.float64)


def _scores(place: str, detector: Detector, tally: PlaceTally) -> Iterator[PlaceScores]:
    for label, tallies in tally.tallies.items():
        objects = sum(one.objects for one in tallies)
        if objects:
            figures = _intervals(tallies)
            name = detector.path.name
            yield PlaceScores(place, name, label, len(tallies), objects, figures)


def _intervals(tallies: Sequence[ClassTally]) -> dict[str, Interval]:
    """Return all figures with their intervals, from one set of draws of the pictures."""

    def figures(picks: Sequence[int] | NDArray[np.int64]) -> list[float]:
        scores = ClassTally.merged(tallies[pick] for pick in picks).sum_up(0.0)
        return [float(getattr(scores, name)) for name in FIGURES]

    draws = np.random.default_rng(0).integers(0, len(tallies), (_DRAWS, len(tallies)))
    drawn = np.array([figures(picks) for picks in draws])
    low, high = np.nanpercentile(drawn, (5, 95), axis=0)
    whole = figures(range(len(tallies)))
    return {
        name: Interval(value, float(least), float(most))
        for name, value, least, most in zip(FIGURES, whole, low, high, strict=True)
    }


Summary = Callable[[Sequence[float]], float]
SUMMARIES: Final[Mapping[str, Summary]] = {
    "median of places": lambda values: float(np.nanmedian(values)),
    "worst place": lambda values: float(np.nanmin(values)),
}
"""How the figures of all places are summed up."""
