"""The bench of detectors: options and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from fusion_core.detection.labels import CLASSES
from fusion_core.errors import UsageError
from fusion_core.types import Modality
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.detector.places import (
    FIGURES,
    SUMMARIES,
    PlacesFigures,
    measure_places,
)
from fusion_lab.benches.detector.reliability import ReliabilityBin, expected_error
from fusion_lab.benches.detector.tallies import SetFigures, TargetCounts, tally_set
from fusion_lab.benches.detector.views import OTHER, STATES, DetectorViews, read_labelled
from fusion_lab.benches.intervals import Interval
from fusion_lab.benches.tables import Cell, Table
from fusion_lab.data import dataset_name
from fusion_lab.evaluation.precision import ClassScores

_LEAST_OBJECTS = 10
_FIGURE_NAMES = ("AP50", "AP", "recall at one false", "recall at 0.1 false")


@dataclass(frozen=True, slots=True)
class DetectorResult:
    """Figures of all sets.

    Attributes:
        sets: Name of the set -> its figures with cameras at work and broken; empty where only
            places are measured.
        places: Figures place by place, None where they are not measured.
    """

    sets: Mapping[str, SetFigures]
    places: PlacesFigures | None = None

    def tables(self) -> Sequence[Table]:
        """Return the tables of the sets, or those of the places."""
        return place_tables(self.places) if self.places else self._set_tables()

    def _set_tables(self) -> Sequence[Table]:
        """Return scores, gains, and with a reference detector what a broken camera costs."""
        columns = tuple(f"{label}: AP50 / recall / at one false" for label in CLASSES)
        scores = Table(
            "", ("set", "view", *columns, "mean AP50"), tuple(self._score_rows()), digits=3
        )
        gains = Table(
            "AP50 with both cameras less that with the better one alone",
            ("set", "class", "gain", "5 %", "95 %"),
            tuple(
                (name, label, gain.value, gain.low, gain.high)
                for name, figures in self.sets.items()
                for label, gain in figures.gains.items()
            ),
        )
        targets = tuple(self._target_rows())
        head = ("set", "camera at work", "class", "targets", "both", *STATES)
        title = "Targets of one camera that are found with the other one broken"
        return [scores, gains, *([Table(title, head, targets)] if targets else [])]

    def _score_rows(self) -> Iterator[tuple[Cell, ...]]:
        for name, figures in self.sets.items():
            for view, classes in figures.scores.items():
                frequent = [s.ap50 for s in classes.values() if s.objects >= _LEAST_OBJECTS]
                mean = float(np.mean(frequent)) if frequent else float("nan")
                cells = (_cell(classes.get(label)) for label in CLASSES)
                yield (name, view, *cells, mean)

    def _target_rows(self) -> Iterator[tuple[Cell, ...]]:
        for name, figures in self.sets.items():
            for row in figures.targets:
                if row.targets:
                    yield (name, row.camera, row.label, *_counts(row))
        for camera in OTHER:
            rows = [row for s in self.sets.values() for row in s.targets if row.camera == camera]
            if rows:
                yield ("all", camera, "all", *_counts(_total(camera, rows)))


@dataclass(frozen=True, kw_only=True)
class DetectorBench(BenchCommand):
    """Measure what a detector finds with both cameras, and with one of them broken.

    Every set is a folder with vi/, ir/ and labels/, or vi.mp4, ir.mp4 and labels/ named by frame. A
    detector for pairs sees both pictures; with one of them black; with one frozen, another picture
    of the set in its place; and with one missing. Scores are average precision at IoU 0.5, recall
    at the detector's threshold, and recall at one false detection per picture, as in `fusion
    evaluate --detector`; the mean is over the classes with ten objects and more. A second table
    gives the gain of both cameras over the better one, with the 5th and 95th percentile over
    resampled sets of pictures.

    With a reference detector for single pictures a third table gives what a broken camera costs:
    of the labelled objects that the reference finds in a camera's picture alone, how many the
    detector finds with both cameras, with the other one broken, and at the end of a stream through
    the whole pipeline in which the other one repeats its picture.

    With --places, or detectors that were trained without one place each (--left-out), the figures
    are those of both cameras at work, place by place: a recording is a place, and so is a set of
    single pictures. AP is COCO's (IoU 0.5 to 0.95); intervals are the 5th and 95th percentile over
    resampled pictures. More tables tell how often people of a score are right, what scores that are
    right at every place would be worth, and what the false ones are, by the labels; anything may be
    labelled there, such as `lamp` or `statue`.
    """

    data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR [DIR ...]")]
    """Sets of labelled pairs."""
    detector: Annotated[str, tyro.conf.arg(metavar="default|FILE.onnx")] = "default"
    """The detector under test, one for pairs."""
    reference: Annotated[str, tyro.conf.arg(metavar="FILE.onnx")] = ""
    """A detector for single pictures: it sees visible, thermal and fused pictures."""
    model: Annotated[str, tyro.conf.arg(metavar="NAME")] = "m2pn-edge"
    """Network that fuses what the reference sees."""
    places: bool = False
    """Measure place by place, with both cameras at work."""
    left_out: Annotated[
        tuple[str, ...],
        tyro.conf.UseAppendAction,
        tyro.conf.arg(name="left-out", metavar="PLACE=FILE.onnx"),
    ] = ()
    """Detector of one place, trained without it; may be given several times. Implies --places."""
    tiles: Annotated[int, tyro.conf.arg(metavar="N")] = 1
    """As the setting detection.tiles; with --places."""

    def measure(self) -> DetectorResult:
        """Run the detectors on all sets."""
        if self.places or self.left_out:
            left_out = dict(_parsed(text) for text in self.left_out)
            return DetectorResult(
                {}, measure_places(self.data, self.detector, left_out, self.tiles)
            )
        with closing(DetectorViews(self.detector, self.reference, self.model)) as views:
            sets = {
                dataset_name([folder]): tally_set(read_labelled(folder), views)
                for folder in self.data
            }
        return DetectorResult(sets)


def place_tables(places: PlacesFigures) -> Sequence[Table]:
    """Return scores by place with their summary, reliability, and what false people are."""
    head = ("place", "detector", "class", "pictures", "objects", *_FIGURE_NAMES)
    rows: list[tuple[Cell, ...]] = [
        (s.place, s.detector, s.label, s.pictures, s.objects, *map(_interval, s.figures.values()))
        for s in places.scores
    ]
    for label in CLASSES:
        every = [s for s in places.scores if s.label == label and s.objects >= _LEAST_OBJECTS]
        for name, summary in SUMMARIES.items():
            if every:
                values = (summary([s.figures[key].value for s in every]) for key in FIGURES)
                objects = sum(s.objects for s in every)
                pictures = sum(s.pictures for s in every)
                rows.append((name, "", label, pictures, objects, *map(_number, values)))
    lows = [f"{one.low:.1f}" for one in next(iter(places.bins.values()))]
    trust: list[tuple[Cell, ...]] = [
        (place, *(_bin(one) for one in bins), expected_error(bins))
        for place, bins in places.bins.items()
    ]
    return [
        Table("", head, tuple(rows)),
        Table(
            "People: mean score > share that is right (number), by least score",
            ("place", *lows, "mean error"),
            tuple(trust),
            digits=3,
        ),
        Table(
            "One threshold for all places: recall at one false > at one in ten pictures",
            ("class", "scores as they are", "scores calibrated on each place itself"),
            tuple(
                (label, _recalls(row.as_they_are), _recalls(row.calibrated))
                for label, row in places.common.items()
            ),
        ),
        Table(
            "False people at the detector's threshold, by what the labels say is there",
            ("place", "what", "labelled", "false people", "per picture"),
            tuple(_clutter_rows(places)),
            digits=3,
        ),
    ]


def _clutter_rows(places: PlacesFigures) -> Iterator[tuple[Cell, ...]]:
    for place, counts in places.clutter.items():
        for kind in sorted(counts.false.keys() | counts.labelled.keys()):
            labelled: Cell = counts.labelled[kind] or ""
            false = counts.false[kind]
            yield (place, kind, labelled, false, false / counts.pictures)


def _interval(figure: Interval) -> str:
    return f"{_number(figure.value)} ({_number(figure.low)} to {_number(figure.high)})"


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"


def _recalls(values: tuple[float, float]) -> str:
    return f"{values[0]:.3f} > {values[1]:.3f}"


def _bin(one: ReliabilityBin) -> str:
    return f"{one.score:.2f} > {one.right:.2f} ({one.count})" if one.count else "–"


def _parsed(text: str) -> tuple[str, str]:
    """Return place and file of ``PLACE=FILE.onnx``.

    Raises:
        UsageError: It is not of this form.
    """
    place, separator, path = text.partition("=")
    if not (place and separator and path):
        raise UsageError(f"--left-out {text!r}: expected PLACE=FILE.onnx")
    return place, path


def _cell(scores: ClassScores | None) -> str:
    if scores is None:
        return "–"
    values = (scores.ap50, scores.recall, scores.recall_at_one)
    return " / ".join("–" if np.isnan(value) else f"{value:.2f}" for value in values)


def _total(camera: Modality, rows: Sequence[TargetCounts]) -> TargetCounts:
    broken = {state: sum(row.broken[state] for row in rows) for state in STATES}
    targets, both = sum(row.targets for row in rows), sum(row.both for row in rows)
    return TargetCounts(camera, "all", targets, both, broken)


def _counts(row: TargetCounts) -> tuple[Cell, ...]:
    """Return counts as cells, those of a broken camera with the change from both."""
    changes = (
        f"{count} ({100 * (count - row.both) / row.both:+.0f} %)" if row.both else "–"
        for count in row.broken.values()
    )
    return (row.targets, row.both, *changes)
