"""What the shipped detector finds in degraded scenes, restored and fused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np

from fusion_core.detection import Detector
from fusion_core.detection.labels import CLASSES
from fusion_core.priors import assess_pair
from fusion_core.priors.embedded import EmbeddedProvider
from fusion_core.types import AlignedPair, ScenePrior, UInt8Image
from fusion_lab.benches.restoring.methods import Method
from fusion_lab.benches.restoring.pictures import degrade_picture
from fusion_lab.benches.tables import Cell, Table
from fusion_lab.data import BoxLabels, Needs, aligned_pair, read_examples
from fusion_lab.data.labels import IGNORE
from fusion_lab.evaluation.detecting import grouped
from fusion_lab.evaluation.precision import ClassScores, ClassTally

WEATHERS: Final = ("haze", "rain", "snow", "smoke")
SETS: Final = ("roadscene/val", "msrs")
SMOKE: Final = Path("video", "0117_1620")
RECORDED: Final = "real smoke"
_SEVERITY = 0.8
_LEAST_SCORE = 0.01
_CLASSES: Final = ("person", "vehicle")


class LabelledPicture(NamedTuple):
    """A labelled pair, degraded or as recorded.

    Attributes:
        group: One of ``WEATHERS``, or ``RECORDED``.
        pair: The pair.
        prior: What the embedded provider gives for it.
        labels: What is to be found.
    """

    group: str
    pair: AlignedPair
    prior: ScenePrior
    labels: BoxLabels


@dataclass(frozen=True, slots=True)
class Finds:
    """What the detector finds in every view of the same pictures.

    Attributes:
        counts: Group -> number of pictures.
        scores: View -> group -> class -> scores.
    """

    counts: Mapping[str, int]
    scores: Mapping[str, Mapping[str, Mapping[str, ClassScores]]]

    def tables(self) -> list[Table]:
        """Return AP50 of people and vehicles, a column per group; a dash where none is labelled."""
        columns = tuple(f"{group} ({count})" for group, count in self.counts.items())
        tables = []
        for label in _CLASSES:
            rows: tuple[tuple[Cell, ...], ...] = tuple(
                (view, *(by_group[group][label].ap50 for group in self.counts))
                for view, by_group in self.scores.items()
            )
            tables.append(Table(f"AP50 of class {label}", ("view", *columns), rows, digits=3))
        return tables


def read_labelled(data: Path, every: int) -> Iterator[LabelledPicture]:
    """Iterate over labelled pairs in each weather, and over frames of real smoke as they are.

    Args:
        data: Folder that holds ``SETS`` and ``SMOKE``.
        every: Use every n-th pair.

    Raises:
        SourceError: A folder is missing, or a picture has no labels.
    """
    provider, needs = EmbeddedProvider(), Needs(labels=True)
    for number, example in enumerate(read_examples([data / name for name in SETS], needs=needs)):
        for kind in WEATHERS if number % every == 0 else ():
            shown = degrade_picture(example.first, {kind: _SEVERITY}, seed=number)
            pair = aligned_pair(shown, example.second)
            assert example.labels is not None, "labelled pairs were read"
            yield LabelledPicture(kind, pair, assess_pair(provider, pair), example.labels)
    for example in read_examples([data / SMOKE], needs=needs)[::every]:
        pair = aligned_pair(example.first, example.second)
        assert example.labels is not None, "labelled frames were read"
        yield LabelledPicture(RECORDED, pair, assess_pair(provider, pair), example.labels)


def count_finds(
    methods: Mapping[str, Method], pictures: Iterator[LabelledPicture], detector: Detector
) -> Finds:
    """Run the detector on every view of every picture.

    A view is what a method restores, beside the thermal picture; or what it fuses, alone.

    Args:
        methods: What restores and fuses.
        pictures: Labelled pictures.
        detector: One for pairs.
    """
    counts: dict[str, int] = {}
    tallies: dict[str, dict[str, dict[str, ClassTally]]] = {}
    for picture in pictures:
        counts[picture.group] = counts.get(picture.group, 0) + 1
        for name, method in methods.items():
            for view, pair in _views(method, picture.pair, picture.prior):
                by_group = tallies.setdefault(f"{name}, {view}", {})
                by_class = by_group.setdefault(
                    picture.group, {label: ClassTally() for label in _CLASSES}
                )
                _count(detector, pair, picture.labels, by_class)
    scores = {
        view: {
            group: {label: tally.sum_up(detector.card.conf) for label, tally in by_class.items()}
            for group, by_class in by_group.items()
        }
        for view, by_group in tallies.items()
    }
    return Finds(counts, scores)


def _views(
    method: Method, pair: AlignedPair, prior: ScenePrior
) -> Iterator[tuple[str, AlignedPair]]:
    """Iterate over what the detector sees of a method, by name."""
    fused = method.fuse(pair, prior)
    if method.restore is not None:
        restored = method.restore(pair, prior)
        if restored.ndim == 2:
            restored = _coloured(restored, fused)
        yield "restored and thermal", replace(pair, visible=restored)
    yield "fused", replace(pair, visible=fused, thermal=None)


def _coloured(luma: UInt8Image, fused: UInt8Image) -> UInt8Image:
    """Return a restored luma in the colours of the fused picture."""
    planes = np.asarray(cv2.cvtColor(fused, cv2.COLOR_RGB2YCrCb), np.uint8)
    planes[..., 0] = luma
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YCrCb2RGB), np.uint8)


def _count(
    detector: Detector, pair: AlignedPair, labels: BoxLabels, by_class: Mapping[str, ClassTally]
) -> None:
    assert pair.visible is not None, "every view has a picture"
    found = grouped(detector.detect(pair.visible, pair, score=_LEAST_SCORE), detector)
    boxes, ignore = np.asarray(labels.boxes, np.float64), labels.classes == IGNORE
    for label, tally in by_class.items():
        number = CLASSES.index(label)
        own = found.take(found.classes == number)
        tally.add(own.boxes, own.scores, boxes[labels.classes == number], boxes[ignore])
