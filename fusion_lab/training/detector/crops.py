"""Training pictures: crops and mosaics of labelled pairs that any step can recompute."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict
from torch import Tensor

from fusion_core.types import FloatImage, UInt8Image
from fusion_lab.data import BoxLabels, Example
from fusion_lab.data.labels import IGNORE, NOTHING
from fusion_lab.training.detector.assign import Objects
from fusion_lab.training.detector.degrade import THERMAL, VISIBLE, blinded, degrade
from fusion_lab.training.detector.paste import Pasting, paste_things, without_posters
from fusion_lab.training.detector.pool import DetectionPool

PADDING = 114
_Vector = NDArray[np.float64]  # x and y
_LEAST_SHARE, _LEAST_EDGE = 0.4, 3.0


@dataclass(frozen=True)
class Sampling:
    """How pictures are drawn; probabilities are per picture.

    Attributes:
        size: Edge of a training picture in pixels.
        fitted: Height and width into which a picture fits at scale 1.
        scale: Smallest and largest scale.
        mosaic: Probability that four crops share a picture.
        rendered: Probability that a crop is of a rendered scene, where there are any.
        aerial: Probability that it is one from the air, where there are any.
        centred: Probability that a crop is placed around an object.
        shift: Largest error of registration in pixels of the crop's source.
        blind: Probability that one of the two cameras is dead or frozen.
        thermal: Probability that it is the thermal one.
        frozen: Probability that such a camera shows another scene instead of nothing.
        other_cameras: Show pictures as other cameras than those of the recordings would, too.
        pasting: What is pasted into the pictures.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    size: int = 320
    fitted: tuple[int, int] = (416, 544)
    scale: tuple[float, float] = (0.5, 3.0)
    mosaic: float = 0.3
    rendered: float = 0.1
    aerial: float = 0.12
    centred: float = 0.6
    shift: float = 3.0
    blind: float = 0.7
    thermal: float = 0.6
    frozen: float = 0.6
    other_cameras: bool = False
    pasting: Pasting = field(default_factory=Pasting)


class DetectionBatch(NamedTuple):
    """What one step learns from.

    Attributes:
        images: ``Bx4xSxS`` red, green, blue, thermal in [0, 1].
        objects: What each shows to both cameras together.
        people: The people that the thermal camera alone shows in each.
    """

    images: Tensor
    objects: list[Objects]
    people: list[Objects]

    def to(self, device: str) -> DetectionBatch:
        """Return the same on a device."""
        objects, people = ([o.to(device) for o in group] for group in self[1:])
        return DetectionBatch(self.images.to(device), objects, people)


def make_detection_batch(
    pool: DetectionPool, sampling: Sampling, *, count: int, seed: int, step: int
) -> DetectionBatch:
    """Return pictures and what they show, a function of the arguments."""
    rng = np.random.default_rng((seed, step))
    planes, objects, people = [], [], []
    for _ in range(count):
        picture, labels = draw_picture(pool, sampling, rng)
        degraded, both, thermal = degrade_cameras(picture, labels, pool, sampling, rng)
        planes.append(degraded.transpose(2, 0, 1))
        objects.append(to_objects(both))
        people.append(to_objects(thermal.people()))
    return DetectionBatch(torch.from_numpy(np.stack(planes)), objects, people)


def to_objects(labels: BoxLabels) -> Objects:
    """Return labels as tensors of centres and sizes, ignored regions apart."""
    boxes = torch.from_numpy(labels.boxes)
    middle = torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1)
    classes = torch.from_numpy(labels.classes)
    known = classes != IGNORE
    return Objects(middle[known], classes[known], middle[~known])


def draw_picture(
    pool: DetectionPool, sampling: Sampling, rng: np.random.Generator
) -> tuple[UInt8Image, BoxLabels]:
    """Return ``SxSx4`` uint8 and its boxes: one crop, or four around a random corner."""
    size = sampling.size
    canvas = np.full((size, size, 4), PADDING, np.uint8)
    columns, rows = [0, size], [0, size]
    if rng.random() < sampling.mosaic:
        columns.insert(1, int(size * rng.uniform(0.3, 0.7)))
        rows.insert(1, int(size * rng.uniform(0.3, 0.7)))
    boxes, classes = [], []
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            tile = canvas[top:bottom, left:right]
            labels = _fill(tile, pool.draw(sampling.rendered, sampling.aerial, rng), sampling, rng)
            boxes.append(labels.boxes + np.array([left, top, left, top], np.float32))
            classes.append(labels.classes)
    shown = BoxLabels(np.concatenate(boxes), np.concatenate(classes))
    return canvas, paste_things(canvas, shown, pool.people, sampling.pasting, rng)


def _fill(
    tile: UInt8Image, pair: Example, sampling: Sampling, rng: np.random.Generator
) -> BoxLabels:
    """Paint a random crop of a pair into a tile and return the boxes in it."""
    assert pair.labels is not None, "the detector learns from labelled pairs"
    size, whole = np.array(tile.shape[1::-1], np.float64), np.array(pair.second.shape[::-1])
    fitted = min(sampling.fitted[1] / whole[0], sampling.fitted[0] / whole[1])
    low, high = (math.log(value) for value in sampling.scale)
    scale = fitted * math.exp(rng.uniform(low, high)) * np.exp(rng.uniform(-0.08, 0.08, 2))
    origin = _place(whole, pair.labels, size, scale, centred=sampling.centred, rng=rng)
    matrix = np.array([[scale[0], 0, -origin[0]], [0, scale[1], -origin[1]]], np.float64)
    boxes = pair.labels.boxes * np.tile(scale, 2) - np.tile(origin, 2)
    if rng.random() < 0.5:
        matrix[0] = -matrix[0]
        matrix[0, 2] += size[0]
        boxes[:, [0, 2]] = size[0] - boxes[:, [2, 0]]
    moved = matrix.copy()
    moved[:, 2] += rng.uniform(-1, 1, 2) * sampling.shift * scale
    tile[..., :3] = _warp(pair.first, matrix, tile)
    tile[..., 3] = _warp(pair.second, moved, tile)
    return _clip(BoxLabels(boxes.astype(np.float32), pair.labels.classes), size)


def _place(
    whole: NDArray[np.int64],
    labels: BoxLabels,
    size: _Vector,
    scale: _Vector,
    *,
    centred: float,
    rng: np.random.Generator,
) -> _Vector:
    """Return the top-left corner of the crop in the scaled picture; never wholly outside it."""
    spare = whole * scale - size
    boxes = labels.boxes[labels.classes != IGNORE]
    if not len(boxes) or rng.random() >= centred:
        return spare * rng.random(2)
    box = boxes[int(rng.integers(len(boxes)))]
    origin = (box[:2] + box[2:]) / 2 * scale - size * rng.uniform(0.15, 0.85, 2)
    inside = origin.clip(np.minimum(0, spare), np.maximum(0, spare))
    return np.asarray(np.where(spare > 0, inside, spare * rng.random(2)), np.float64)


def _warp(source: UInt8Image, matrix: NDArray[np.float64], tile: UInt8Image) -> UInt8Image:
    """Return the part of ``source`` that a tile shows, without aliasing.

    The matrix maps coordinates measured from the corner, as boxes are; OpenCV's are measured
    from the middle of the first pixel.
    """
    scale = min(abs(matrix[0, 0]), matrix[1, 1])
    if scale < 0.75:
        size = (max(1, round(source.shape[1] * scale)), max(1, round(source.shape[0] * scale)))
        ratio = np.array([size[0] / source.shape[1], size[1] / source.shape[0]])
        source = np.asarray(cv2.resize(source, size, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = np.column_stack([matrix[:, :2] / ratio, matrix[:, 2]])
    offset = matrix[:, :2].sum(1) / 2 + matrix[:, 2] - 0.5
    matrix = np.column_stack([matrix[:, :2], offset])
    shape = (tile.shape[1], tile.shape[0])
    return np.asarray(cv2.warpAffine(source, matrix, shape, borderValue=(PADDING,) * 3), np.uint8)


def _clip(labels: BoxLabels, size: _Vector) -> BoxLabels:
    """Cut boxes at the border; what is left of an object that is mostly outside is ignored."""
    boxes = labels.boxes.clip(0, np.tile(size, 2).astype(np.float32))
    edges = boxes[:, 2:] - boxes[:, :2]
    whole = (labels.boxes[:, 2:] - labels.boxes[:, :2]).prod(1)
    cut = (edges.prod(1) < _LEAST_SHARE * whole) | (edges.min(1, initial=np.inf) < _LEAST_EDGE)
    classes = np.where(cut, IGNORE, labels.classes)
    there = edges.min(1, initial=np.inf) > 0
    return BoxLabels(boxes[there], classes[there])


def degrade_cameras(
    picture: UInt8Image,
    labels: BoxLabels,
    pool: DetectionPool,
    sampling: Sampling,
    rng: np.random.Generator,
) -> tuple[FloatImage, BoxLabels, BoxLabels]:
    """Return float32 in [0, 1] with the faults of both cameras, and the labels that still hold.

    What a frozen camera shows of another scene is neither right nor wrong for both together: no
    single pair shows whether it is there. The thermal camera alone is held to what it shows.

    Returns:
        Picture, labels for both cameras, labels for the thermal one alone.
    """
    planes = picture.astype(np.float32) / np.float32(255)
    victim = _victim(sampling, rng)
    visible, thermal = planes[..., :3], planes[..., 3]
    both = without_posters(labels, seen=victim != 1)
    alone = labels = without_posters(labels, seen=True)
    if victim is not None and rng.random() < sampling.frozen:
        other, ghosts = draw_picture(pool, sampling, rng)
        scene = other.astype(np.float32) / np.float32(255)
        visible, thermal = (scene[..., :3], thermal) if victim == 0 else (visible, scene[..., 3])
        both = both.beside(ghosts.unknown())
        alone = labels if victim == 0 else without_posters(ghosts, seen=True)
    elif victim == 0:
        visible = blinded(visible, rng)
    elif victim == 1:
        thermal, alone = blinded(thermal, rng), NOTHING
    # A camera that is alone shows the labelled objects at least half of the time.
    if victim is None or rng.random() < 0.5:
        others = sampling.other_cameras
        visible = visible if victim == 0 else degrade(visible, VISIBLE, rng, other_cameras=others)
        thermal = thermal if victim == 1 else degrade(thermal, THERMAL, rng, other_cameras=others)
    return np.dstack([visible, thermal]).astype(np.float32), both, alone


def _victim(sampling: Sampling, rng: np.random.Generator) -> int | None:
    """Return which camera is broken: 0 visible, 1 thermal, or none."""
    return int(rng.random() < sampling.thermal) if rng.random() < sampling.blind else None
