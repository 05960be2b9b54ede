"""Clicks on people and beside them, which any step can recompute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion_core.masks.person_at import Looks, levelled
from fusion_core.types import FloatImage
from fusion_lab.data import Example
from fusion_lab.data.labels import PERSON
from fusion_lab.training.batches import pair_planes
from fusion_lab.training.prompting.clothes import cool_clothes

_LEAST_HEIGHT = 16
# How often a click is on nobody, and how often people wear cold clothes.
_BESIDE, _COLD = 0.2, 0.4
# How far clicks lie from a person's middle, in shares of width and height (one deviation), and by
# which factor at most the scale of a window is another than the person's.
_AWAY, _SCALE = (0.14, 0.12), 2.2
_TONE, _CONTRAST, _OFFSET, _NOISE = 0.4, (0.4, 1.2), 0.15, 0.02
_HEIGHTS = (20.0, 300.0)
_CLOTHED_SEED = 1


class ClickBatch(NamedTuple):
    """Windows at clicks.

    Attributes:
        windows: ``Bx2x48x32``, see ``Looks.at``.
        reaches: ``Bx4`` to the left, top, right and bottom end of the person, in units of the
            window's height of a person; 0 where nobody is.
    """

    windows: Tensor
    reaches: Tensor


@dataclass(frozen=True, slots=True)
class Crowd:
    """A picture with people.

    Attributes:
        size: Rows and columns.
        boxes: ``Nx4`` left, top, right and bottom of the people that can be clicked on.
        everybody: The same of all people, and of regions where there may be some.
        looks: The picture, and once more with people in cold clothes.
    """

    size: tuple[int, int]
    boxes: NDArray[np.float64]
    everybody: NDArray[np.float64]
    looks: tuple[Looks, Looks]


def crowd_of(example: Example) -> Crowd | None:
    """Return the people of a labelled pair, None where none is high enough."""
    assert example.labels is not None, "clicks are made from labelled pairs"
    people, everybody = (
        np.asarray(boxes, np.float64)
        for boxes in (example.labels.of(PERSON), example.labels.people().boxes)
    )
    boxes = people[people[:, 3] - people[:, 1] >= _LEAST_HEIGHT]
    if not len(boxes):
        return None
    thermal = pair_planes(example)[..., 0].astype(np.float32) / np.float32(255)
    clothed = thermal
    if example.mask is not None:
        clothed = cool_clothes(thermal, example.mask > 127, np.random.default_rng(_CLOTHED_SEED))
    rows, columns = thermal.shape
    return Crowd((rows, columns), boxes, everybody, (Looks(thermal), Looks(clothed)))


def make_click_batch(crowds: Sequence[Crowd], size: int, seed: int, step: int) -> ClickBatch:
    """Return the clicks of one step; they depend on nothing but the arguments."""
    rng = np.random.default_rng((seed, step))
    shares = np.sqrt([len(crowd.boxes) for crowd in crowds])
    chosen = rng.choice(len(crowds), size, p=shares / shares.sum())
    clicks = [_click(crowds[int(index)], rng) for index in chosen]
    windows, reaches = (np.stack(parts) for parts in zip(*clicks, strict=True))
    return ClickBatch(torch.from_numpy(windows), torch.from_numpy(reaches))


def _click(
    crowd: Crowd, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    looks = crowd.looks[int(rng.random() < _COLD)]
    x, y = rng.random(2) * crowd.size[::-1]
    height = float(np.exp(rng.uniform(*np.log(_HEIGHTS))))
    reaches = np.zeros(4)
    if rng.random() > _BESIDE or _inside(crowd.everybody, x, y):
        box = crowd.boxes[rng.integers(len(crowd.boxes))]
        x, y = _point_in(box, rng)
        height = (box[3] - box[1]) * np.exp(rng.uniform(-1, 1) * np.log(_SCALE))
        reaches = np.array([x - box[0], y - box[1], box[2] - x, box[3] - y]) / height
    window = looks.at(x, y, height)[1] + np.float32(0.5)
    if rng.random() < 0.5:
        window, reaches = window[:, ::-1], reaches[[2, 1, 0, 3]]
    return levelled(_changed(window, rng)), reaches.astype(np.float32)


def _inside(boxes: NDArray[np.float64], x: float, y: float) -> bool:
    across = (boxes[:, 0] <= x) & (x < boxes[:, 2])
    return bool((across & (boxes[:, 1] <= y) & (y < boxes[:, 3])).any())


def _point_in(box: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    edges = box[2:] - box[:2]
    aside = np.clip(rng.normal(0, _AWAY), -0.45, 0.45)
    return np.asarray(box[:2] + edges * (0.5 + aside))


def _changed(window: FloatImage, rng: np.random.Generator) -> FloatImage:
    if rng.random() < _TONE:
        middle = 0.5 + rng.uniform(-_OFFSET, _OFFSET)
        window = (window - 0.5) * np.float32(rng.uniform(*_CONTRAST)) + np.float32(middle)
    noise = rng.normal(0, rng.uniform(0, _NOISE), window.shape)
    return np.asarray(np.clip(window + noise, 0, 1), np.float32)
