"""Paste people, and things that are none, into training pictures, in both cameras.

The recordings show few places, and few of the things that a detector takes for people. People are
cut out of them by their masks; what is no person is drawn, see ``fusion_lab.synthetic.clutter``.
Temperatures stay relative to what surrounds them: a person who is 20 gray levels warmer than the
street that the mask was cut from is about as much warmer than the one it is pasted into.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import FloatImage, UInt8Image
from fusion_lab.data import BoxLabels, Example
from fusion_lab.data.labels import IGNORE, PERSON
from fusion_lab.synthetic.clutter import draw_clutter

POSTER: Final = -2
"""Class of a person whom only the colour camera sees: a poster, a statue, a reflection."""

_CYCLE: Final = 2
_LABELS: Final = {"motorcycle": _CYCLE, "bicycle": _CYCLE}
_HEIGHTS: Final = (16.0, 200.0)  # pixels of a person
_PERSON_M: Final = 1.7
_LEAST_SHARE, _LEAST_PIXELS = 0.3, 24  # of a mask in its box; of the height of a cut-out
_RING, _TRIES = 0.4, 6
_HIDDEN: Final = 0.15  # share of a labelled object that may be covered
_LEVELS_PER_K: Final = (2.0, 7.0)


class Cutout(NamedTuple):
    """Something to paste.

    Attributes:
        rgb: ``HxWx3`` float32 in [0, 255].
        warmth: ``HxW`` float32 gray levels over its surroundings.
        cover: ``HxW`` float32 coverage in [0, 1].
        label: Its class; None for what is no object.
    """

    rgb: FloatImage
    warmth: FloatImage
    cover: FloatImage
    label: int | None


@dataclass(frozen=True)
class Pasting:
    """How much is pasted; probabilities are per picture, and repeat until one fails.

    Attributes:
        people: Probability of a person.
        posters: Probability of a person in the visible picture alone.
        clutter: Probability of something that is no person.
    """

    people: float = 0.0
    posters: float = 0.0
    clutter: float = 0.0


def cut_people(pairs: Sequence[Example]) -> list[Cutout]:
    """Return the people of pairs that have masks, each with what its mask covers."""
    return [
        _cut(pair, np.rint(box).astype(int))
        for pair in pairs
        if pair.mask is not None and pair.labels is not None
        for box, number in zip(*pair.labels, strict=True)
        if number == PERSON and _is_clear(pair.mask, np.rint(box).astype(int), pair.labels, box)
    ]


def _is_clear(
    mask: UInt8Image, box: NDArray[np.int64], labels: BoxLabels, own: NDArray[np.float32]
) -> bool:
    """Return whether a person is large, well masked and away from others."""
    left, top, right, bottom = box
    inside = mask[max(0, top) : bottom, max(0, left) : right]
    if bottom - top < _LEAST_PIXELS or inside.size == 0 or (inside > 0).mean() < _LEAST_SHARE:
        return False
    if min(left, top) < 0 or right > mask.shape[1] or bottom > mask.shape[0]:
        return False
    return int((_covered(labels.boxes, own) > 0.1).sum()) <= 1


def _cut(pair: Example, box: NDArray[np.int64]) -> Cutout:
    """Cut a box out of a pair, by its mask."""
    assert pair.mask is not None, "people are cut by their masks"
    left, top, right, bottom = box
    area = (slice(top, bottom), slice(left, right))
    cover = cv2.GaussianBlur((pair.mask[area] > 0).astype(np.float32), (0, 0), 0.8)
    thermal = pair.second[area].astype(np.float32)
    around = float(np.median(thermal[cover < 0.1])) if (cover < 0.1).any() else thermal.min()
    rgb = pair.first[area].astype(np.float32)
    return Cutout(rgb, np.asarray(thermal - around), np.asarray(cover, np.float32), PERSON)


def paste_things(
    picture: UInt8Image,
    labels: BoxLabels,
    people: Sequence[Cutout],
    pasting: Pasting,
    rng: np.random.Generator,
) -> BoxLabels:
    """Paste into ``SxSx4`` uint8, in place, and return the labels with those of what was pasted."""
    while people and rng.random() < pasting.people:
        labels = _place(picture, labels, _person(people, rng), 1.0, rng)
    while people and rng.random() < pasting.posters:
        poster = _person(people, rng)._replace(label=POSTER)
        labels = _place(picture, labels, poster, 1.0, rng)
    while rng.random() < pasting.clutter:
        sprite = draw_clutter(rng)
        gain = np.float32(rng.uniform(*_LEVELS_PER_K))
        label = _LABELS.get(sprite.label)
        thing = Cutout(sprite.rgb, sprite.heat * gain, sprite.cover, label)
        labels = _place(picture, labels, thing, sprite.height_m / _PERSON_M, rng)
    return labels


def without_posters(labels: BoxLabels, *, seen: bool) -> BoxLabels:
    """Return labels without posters, or with posters ignored.

    Args:
        labels: Labels of one picture.
        seen: The thermal camera shows that they are none.
    """
    if seen:
        kept = labels.classes != POSTER
        return BoxLabels(labels.boxes[kept], labels.classes[kept])
    return BoxLabels(labels.boxes, np.where(labels.classes == POSTER, IGNORE, labels.classes))


def _person(people: Sequence[Cutout], rng: np.random.Generator) -> Cutout:
    person = people[int(rng.integers(len(people)))]
    gain = np.float32(rng.uniform(0.6, 1.2))
    if rng.random() < 0.5:
        rgb, warmth, cover, label = person
        person = Cutout(rgb[:, ::-1], warmth[:, ::-1], cover[:, ::-1], label)
    return person._replace(warmth=person.warmth * gain)


def _place(
    picture: UInt8Image,
    labels: BoxLabels,
    thing: Cutout,
    size: float,
    rng: np.random.Generator,
) -> BoxLabels:
    """Paste one thing where it hides no labelled object; give up after a few tries."""
    low, high = np.log(_HEIGHTS)
    for _ in range(_TRIES):
        height = size * float(np.exp(rng.uniform(low, high)))
        scale = height / thing.cover.shape[0]
        width = scale * thing.cover.shape[1]
        spare = picture.shape[1] - width, picture.shape[0] - height
        if min(spare) <= 0 or scale > 2 or width < 4:
            continue
        left, top = int(rng.uniform(0, spare[0])), int(rng.uniform(0, spare[1]))
        box = np.array([left, top, left + round(width), top + round(height)], np.float32)
        if (_covered(labels.boxes, box) > _HIDDEN).any():
            continue
        _blend(picture, thing, box.astype(int), rng)
        if thing.label is None:
            return labels
        return labels.beside(BoxLabels(box[None], np.array([thing.label])))
    return labels


def _covered(boxes: NDArray[np.float32], box: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the shares of ``Nx4`` boxes that lie in one box."""
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    whole = (boxes[:, 2:] - boxes[:, :2]).prod(1).clip(1e-3)
    return np.asarray((high - low).clip(0).prod(1) / whole, np.float32)


def _blend(
    picture: UInt8Image, thing: Cutout, box: NDArray[np.int64], rng: np.random.Generator
) -> None:
    """Lay a thing over a picture: as bright, as warm and as sharp as what surrounds it."""
    left, top, right, bottom = box
    area, around = (slice(top, bottom), slice(left, right)), _ring(picture, box)
    sigma = float(rng.uniform(0.0, 1.2))
    rgb, warmth, cover = (
        _fitted(plane, (right - left, bottom - top), sigma) for plane in thing[:3]
    )
    cover = cover[..., None]
    light = np.float32(np.clip(around[:3].mean() / 110, 0.12, 1.4) * rng.uniform(0.7, 1.3))
    tint = np.float32(rng.uniform(0.0, 0.3))
    lit = rgb * light * (1 - tint) + around[:3] * tint
    canvas = picture[area].astype(np.float32)
    canvas[..., :3] += cover * (lit - canvas[..., :3])
    if thing.label != POSTER:
        canvas[..., 3] += cover[..., 0] * (around[3] + warmth - canvas[..., 3])
    picture[area] = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)


def _ring(picture: UInt8Image, box: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the median of each plane in and around a box."""
    left, top, right, bottom = box
    x, y = (max(2, int(_RING * edge)) for edge in (right - left, bottom - top))
    around = picture[max(0, top - y) : bottom + y, max(0, left - x) : right + x]
    return np.asarray(np.median(around.reshape(-1, 4), axis=0), np.float32)


def _fitted(plane: FloatImage, size: tuple[int, int], sigma: float) -> FloatImage:
    reduced = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    if sigma > 0.3:
        reduced = cv2.GaussianBlur(reduced, (0, 0), sigma)
    return np.asarray(reduced, np.float32)
