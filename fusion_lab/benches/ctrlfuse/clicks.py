"""What a click on a person marks, with and without a detector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from fusion_core.detection.detector import Detector
from fusion_core.masks.marks import Marks, Scene
from fusion_core.masks.regions import fill_boxes
from fusion_core.types import Mask, UInt8Image
from fusion_lab.benches.ctrlfuse.data import MaskedPair, spread_evenly
from fusion_lab.benches.ctrlfuse.effects import iou
from fusion_lab.benches.progress import with_progress
from fusion_lab.data import Example, aligned_pair

# People that are higher, and whose silhouette fills at least this share of their box.
_LEAST_HEIGHT, _LEAST_FILLED = 24, 0.3


@dataclass(frozen=True, slots=True)
class ClickOverlap:
    """Overlap of what clicks mark with the people that they are on, means over the people.

    Attributes:
        dataset: Name of the set.
        people: Number of them.
        alone: IoU where nothing is detected.
        detected: IoU where the street detector has looked.
    """

    dataset: str
    people: int
    alone: float
    detected: float


def measure_clicks(sets: Mapping[str, list[MaskedPair]], limit: int) -> tuple[ClickOverlap, ...]:
    """Return the overlap on every set that shows people, each clicked at in their middle."""
    detector = Detector("default", threads=1)
    found = []
    for dataset, masked in sets.items():
        overlaps: list[tuple[float, float]] = []
        for pair in with_progress(spread_evenly(masked, limit), f"{dataset}, clicks"):
            overlaps += _overlaps(pair.example, detector)
        if overlaps:
            alone, detected = (float(v) for v in np.mean(overlaps, axis=0))
            found.append(ClickOverlap(dataset, len(overlaps), alone, detected))
    return tuple(found)


def _overlaps(example: Example, detector: Detector) -> Iterator[tuple[float, float]]:
    """Yield the overlap of every person without and with the detector."""
    aligned = aligned_pair(example.first, example.second)
    assert aligned.thermal is not None, "the pair has both pictures"
    height, width = aligned.thermal.shape
    found = tuple(detector.detect(aligned.visible, aligned))
    scenes = [Scene(height, width, aligned.thermal, each) for each in ((), found)]
    for truth in _people(example):
        y, x = (float(each.mean()) for each in np.nonzero(truth))
        alone, detected = (iou(_marked(scene, x, y), truth.astype(np.uint8)) for scene in scenes)
        yield alone, detected


def _marked(scene: Scene, x: float, y: float) -> UInt8Image:
    marks = Marks()
    marks.add_point(scene.share_of(x, y), scene)
    return marks.mask(scene).astype(np.uint8)


def _people(example: Example) -> Iterator[Mask]:
    """Yield the silhouettes of people whose silhouette is known."""
    if example.mask is None or example.labels is None:
        return
    for left, top, right, bottom in example.labels.people().boxes.tolist():
        inside = fill_boxes([(left, top, right - left, bottom - top)], *example.mask.shape) > 0
        truth = inside & (example.mask > 127)
        if bottom - top >= _LEAST_HEIGHT and truth.sum() >= _LEAST_FILLED * inside.sum():
            yield truth
