"""What a click on a person marks, with and without a detector."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from fusion_core.detection.detector import Detector
from fusion_core.masks.marks import Marks, Scene
from fusion_core.masks.regions import fill_boxes
from fusion_core.models import Fuser
from fusion_core.types import Box, Mask, UInt8Image
from fusion_lab.benches.ctrlfuse.data import MaskedPair, spread_evenly
from fusion_lab.benches.ctrlfuse.effects import fuse_prompted, iou
from fusion_lab.benches.progress import with_progress
from fusion_lab.data import Example, aligned_pair
from fusion_lab.data.labels import PERSON

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


def measure_clicks(
    model: Fuser, sets: Mapping[str, list[MaskedPair]], limit: int
) -> tuple[ClickOverlap, ...]:
    """Return the overlap on every set that shows people, each clicked at in their middle.

    It is that of what the network finds in the marked box.
    """
    detector = Detector("default", threads=1)
    found = []
    for dataset, masked in sets.items():
        overlaps: list[tuple[float, float]] = []
        for pair in with_progress(spread_evenly(masked, limit), f"{dataset}, clicks"):
            overlaps += _overlaps(model, pair, detector)
        if overlaps:
            alone, detected = (float(v) for v in np.mean(overlaps, axis=0))
            found.append(ClickOverlap(dataset, len(overlaps), alone, detected))
    return tuple(found)


def _overlaps(model: Fuser, pair: MaskedPair, detector: Detector) -> Iterator[tuple[float, float]]:
    """Yield the overlap of every person without and with the detector."""
    example = pair.example
    aligned = aligned_pair(example.first, example.second)
    assert aligned.thermal is not None, "the pair has both pictures"
    height, width = aligned.thermal.shape
    found = tuple(detector.detect(aligned.visible, aligned))
    scenes = [Scene(height, width, aligned.thermal, each) for each in ((), found)]
    for _, truth in people_of(example):
        alone, detected = (_overlap(model, pair, scene, truth) for scene in scenes)
        yield alone, detected


def _overlap(model: Fuser, pair: MaskedPair, scene: Scene, truth: Mask) -> float:
    """Return the overlap of a person with what a click in their middle marks."""
    y, x = (float(each.mean()) for each in np.nonzero(truth))
    size = (pair.planes.shape[1], pair.planes.shape[0])
    marked = cv2.resize(_marked(scene, x, y), size, interpolation=cv2.INTER_NEAREST)
    found = fuse_prompted(model, pair, np.asarray(marked, np.uint8)).segmented
    full = cv2.resize(found, (scene.width, scene.height), interpolation=cv2.INTER_NEAREST)
    return iou(np.asarray(full, np.uint8), truth.astype(np.uint8))


def _marked(scene: Scene, x: float, y: float) -> UInt8Image:
    marks = Marks()
    marks.add_point(scene.share_of(x, y), scene)
    return marks.mask(scene, boxes=True).astype(np.uint8)


def people_of(example: Example) -> Iterator[tuple[Box, Mask]]:
    """Yield box and silhouette of people whose silhouette is known."""
    if example.mask is None or example.labels is None:
        return
    for left, top, right, bottom in example.labels.of(PERSON).tolist():
        box = (left, top, right - left, bottom - top)
        inside = fill_boxes([box], *example.mask.shape) > 0
        truth = inside & (example.mask > 127)
        if bottom - top >= _LEAST_HEIGHT and truth.sum() >= _LEAST_FILLED * inside.sum():
            yield box, truth
