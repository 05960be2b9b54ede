"""The bench of detectors: options and tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from fusion_core.detection.labels import CLASSES
from fusion_core.types import Modality
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.detector.reliability import EDGES
from fusion_lab.benches.detector.tallies import SetFigures, TargetCounts, tally_set
from fusion_lab.benches.detector.views import OTHER, STATES, DetectorViews, read_labelled
from fusion_lab.benches.tables import Cell, Table
from fusion_lab.data import dataset_name
from fusion_lab.evaluation.precision import ClassScores

_LEAST_OBJECTS = 10


@dataclass(frozen=True, slots=True)
class DetectorResult:
    """Figures of all sets.

    Attributes:
        sets: Name of the set -> its figures.
    """

    sets: Mapping[str, SetFigures]

    def tables(self) -> Sequence[Table]:
        """Return scores, gains, reliability, and with a reference what a broken camera costs."""
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
        ranges = (f"{low:g} to {high:g}" for low, high in pairwise(EDGES))
        sure = Table(
            "Share of the people found with a score that are right (found)",
            ("set", "view", *ranges),
            tuple(self._reliability_rows()),
        )
        return [scores, gains, sure, *([Table(title, head, targets)] if targets else [])]

    def _reliability_rows(self) -> Iterator[tuple[Cell, ...]]:
        for name, figures in self.sets.items():
            for view, bins in figures.reliability.items():
                cells = (f"{b.right / b.found:.2f} ({b.found})" if b.found else "–" for b in bins)
                yield (name, view, *cells)

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
    resampled sets of pictures, a third one how many of the people found with a score are right.

    With a reference detector for single pictures a fourth table gives what a broken camera costs:
    of the labelled objects that the reference finds in a camera's picture alone, how many the
    detector finds with both cameras, with the other one broken, and at the end of a stream through
    the whole pipeline in which the other one repeats its picture.
    """

    data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR [DIR ...]")]
    """Sets of labelled pairs."""
    detector: Annotated[str, tyro.conf.arg(metavar="default|FILE.onnx")] = "default"
    """The detector under test, one for pairs."""
    reference: Annotated[str, tyro.conf.arg(metavar="FILE.onnx")] = ""
    """A detector for single pictures: it sees visible, thermal and fused pictures."""
    model: Annotated[str, tyro.conf.arg(metavar="NAME")] = "m2pn-edge"
    """Network that fuses what the reference sees."""

    def measure(self) -> DetectorResult:
        """Run the detectors on all sets."""
        with closing(DetectorViews(self.detector, self.reference, self.model)) as views:
            sets = {
                dataset_name([folder]): tally_set(read_labelled(folder), views)
                for folder in self.data
            }
        return DetectorResult(sets)


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
