"""What a detector finds of people in fused pictures, by what was marked before the fusion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.detection import Detector
from fusion_core.detection.boxes import overlaps
from fusion_core.detection.labels import CLASSES
from fusion_core.masks.regions import fill_boxes, hot_regions, labelled_regions
from fusion_core.models import Fuser, load_model
from fusion_core.types import AlignedPair, Box, FloatImage, UInt8Image
from fusion_lab.benches.intervals import Interval, bootstrap
from fusion_lab.benches.networks import mask_fuser
from fusion_lab.benches.progress import with_progress
from fusion_lab.benches.tables import Table
from fusion_lab.data import Example, Needs, aligned_pair, read_examples
from fusion_lab.data.labels import IGNORE, PERSON
from fusion_lab.evaluation import baselines
from fusion_lab.evaluation.detecting import as_colour, grouped
from fusion_lab.evaluation.methods import BaselineMethod
from fusion_lab.evaluation.precision import ClassTally, ap50_of

LABELLED_SETS: Final = ("roadscene/val", "msrs", "llvip", "m3fd", "video/0117_1620")

_LEAST_SCORE: Final = 0.01
_DRAWS: Final = 200
_UNMARKED: Final = "ctrlfuse, nothing marked"

Marker = Callable[[Example, AlignedPair], FloatImage]
"""Makes a mask ``HxW`` in {0, 1} of a labelled pair."""
Show = Callable[[Example], UInt8Image]
"""Makes the picture ``HxWx3`` of a labelled pair that a detector looks at."""


@dataclass(frozen=True, slots=True)
class PeopleFound:
    """What a detector finds of the people of one set in one kind of picture.

    Attributes:
        detector: Name of the detector's file.
        dataset: Name of the set.
        people: Labelled people.
        shown: Kind of picture.
        ap50: Average precision at IoU 0.5.
        recall: Share of people found at the detector's threshold.
        false: False people per picture at that threshold.
        gain: AP50 less that of ctrlfuse with nothing marked, on the same draws of the pictures.
    """

    detector: str
    dataset: str
    people: int
    shown: str
    ap50: float
    recall: float
    false: float
    gain: Interval


def found_table(figures: Sequence[PeopleFound]) -> Table:
    """Return the figures as a table."""
    rows = tuple(
        (f.detector, f.dataset, f.people, f.shown, f.ap50, f.recall, f.false, *_cells(f.gain))
        for f in figures
    )
    columns = ("AP50", "recall", "false", "gain", "5 %", "95 %")
    head = ("detector", "set", "people", "picture", *columns)
    return Table("People found in single pictures", head, rows, digits=3)


def measure_detection(
    model: Fuser,
    data: Path,
    files: Sequence[str],
    limit: int,
    names: Sequence[str] = LABELLED_SETS,
) -> tuple[PeopleFound, ...]:
    """Run detectors on sources and fused pictures of labelled pairs.

    Args:
        model: The network that takes marks.
        data: Folder of the labelled sets.
        files: Detectors, as ``Detector`` takes them; one for pairs is given a picture as the
            visible one alone.
        limit: Pictures per set.
        names: The sets.
    """
    detectors, shows = [Detector(file) for file in files], _shows(model)
    found: list[PeopleFound] = []
    for name in names:
        pairs = read_examples([data / name], needs=Needs(labels=True))
        chosen = np.linspace(0, len(pairs) - 1, min(limit, len(pairs))).astype(int)
        tallies: list[dict[str, list[ClassTally]]] = [{each: [] for each in shows} for _ in files]
        for pair in with_progress([pairs[index] for index in chosen], f"{name}, detection"):
            for shown, show in shows.items():
                picture = show(pair)
                for detector, own in zip(detectors, tallies, strict=True):
                    own[shown].append(_tally(detector, picture, pair))
        for detector, own in zip(detectors, tallies, strict=True):
            found += _figures(detector, name, own)
    return tuple(found)


def _shows(model: Fuser) -> Mapping[str, Show]:
    """Return the kinds of pictures, by name."""
    prompted, plain = mask_fuser(model), mask_fuser(load_model("m2pn-edge"))
    street, mean = Detector("default"), BaselineMethod("mean", baselines.fuse_mean)
    markers: Mapping[str, Marker] = {
        "hot regions": lambda _, aligned: hot_regions(_thermal(aligned)),
        "what pair-nano finds": lambda _, aligned: _seen_by(street, aligned),
        "labelled boxes": lambda pair, _: _filled(people_boxes(pair), pair),
        "their mirror image": lambda pair, _: _filled(elsewhere(pair), pair),
    }

    def marked(mark: Marker) -> Show:
        def show(pair: Example) -> UInt8Image:
            aligned = aligned_pair(pair.first, pair.second)
            return prompted(aligned, mark(pair, aligned))

        return show

    return {
        "visible": lambda pair: pair.first,
        "thermal": lambda pair: as_colour(pair.second),
        "mean": lambda pair: as_colour(mean.fuse(pair)),
        "m2pn-edge": lambda pair: plain(aligned_pair(pair.first, pair.second), None),
        _UNMARKED: lambda pair: prompted(aligned_pair(pair.first, pair.second), None),
        **{f"ctrlfuse, {name}": marked(mark) for name, mark in markers.items()},
    }


def people_boxes(pair: Example) -> NDArray[np.float64]:
    """Return ``Nx4`` corners of the labelled people."""
    return _corners(pair, PERSON)


def elsewhere(pair: Example) -> NDArray[np.float64]:
    """Return ``Nx4`` corners of people's boxes mirrored left to right, where nobody is labelled."""
    people, columns = people_boxes(pair), pair.second.shape[1]
    mirrored = people.copy()
    mirrored[:, (0, 2)] = columns - people[:, (2, 0)]
    taken = np.concatenate([people, _corners(pair, IGNORE)])
    free = ~(overlaps(mirrored, taken) > 0).any(axis=1)
    return np.asarray(mirrored[free], np.float64)


def _corners(pair: Example, number: int) -> NDArray[np.float64]:
    assert pair.labels is not None, "labelled pairs were read"
    return np.asarray(pair.labels.of(number), np.float64)


def _filled(corners: NDArray[np.float64], pair: Example) -> FloatImage:
    boxes: list[Box] = [(x0, y0, x1 - x0, y1 - y0) for x0, y0, x1, y1 in corners.tolist()]
    return fill_boxes(boxes, *pair.second.shape)


def _seen_by(detector: Detector, aligned: AlignedPair) -> FloatImage:
    """Return the people that a detector for pairs reports, as ``mask.source detector`` marks."""
    found = detector.detect(None, aligned)
    people = [(each.label, each.box) for each in found if each.label == "person"]
    return labelled_regions(aligned.thermal, people, *aligned.valid.shape)


def _thermal(aligned: AlignedPair) -> FloatImage:
    assert aligned.thermal is not None, "the pair has both pictures"
    return aligned.thermal


def _tally(detector: Detector, picture: UInt8Image, pair: Example) -> ClassTally:
    alone = replace(aligned_pair(picture, pair.second), thermal=None)
    found = grouped(detector.detect(picture, alone, score=_LEAST_SCORE), detector)
    own, tally = found.take(found.classes == CLASSES.index("person")), ClassTally()
    tally.add(own.boxes, own.scores, people_boxes(pair), _corners(pair, IGNORE))
    return tally


def _figures(
    detector: Detector, dataset: str, tallies: Mapping[str, list[ClassTally]]
) -> Iterator[PeopleFound]:
    """Yield the figures of one set, kind by kind."""
    threshold, unmarked = detector.card.conf, tallies[_UNMARKED]
    for shown, own in tallies.items():
        whole = ClassTally.merged(own)
        scores, right = whole.verdicts()
        sums = whole.sum_up(threshold)

        def gain(picks: NDArray[np.int64], own: list[ClassTally] = own) -> float:
            return ap50_of(own, picks) - ap50_of(unmarked, picks)

        yield PeopleFound(
            detector.path.stem,
            dataset,
            whole.objects,
            shown,
            sums.ap50,
            sums.recall,
            float((~right[scores >= threshold]).sum() / len(own)),
            bootstrap(gain, len(own), draws=_DRAWS),
        )


def _cells(interval: Interval) -> tuple[float, float, float]:
    return interval.value, interval.low, interval.high
