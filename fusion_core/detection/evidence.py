"""People must show in a thermal camera that works: who does not is believed less.

What only looks like a person to the colour camera (a parked two-wheeler, an opening of a façade, a
poster) is as flat in thermal as the wall behind it; a body with clothes, face and hands never is.
The score is lowered, not struck out, and only where both cameras show one scene at one moment:
thermal that is frozen, without anybody having noticed, says nothing about people who are here. It
shows another scene where its edges are not the visible ones, and another moment where even a person
of whom the detector is sure is flat in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import AlignedPair, Box, Detection

_PERSON: Final = "person"
_FLAT: Final = 0.6
"""Spread in a box, in standard deviations of the picture, below which it shows nobody."""
_BELIEF: Final = 0.4
_SURE: Final = 0.65  # scores from here on stay: a frozen camera must not cost those who are plain
_ALIVE: Final = (
    0.02  # standard deviation of a picture, of its range, from which on it shows a scene
)
_SAMPLES: Final = 32  # along each edge of a box
_SAME_SCENE: Final = 0.12
"""Agreement of the edges of both pictures from which on they show one scene.

True pairs of the training recordings have 0.15 and more, mostly 0.3; those of two scenes mostly
less than 0.1.
"""
_EDGES_WIDTH: Final = 160  # of the picture in which edges are compared


def weigh_by_thermal(
    found: Sequence[Detection], aligned: AlignedPair, least: float
) -> tuple[Detection, ...]:
    """Return detections, best first, with less of the score for people whom thermal does not show.

    Nothing changes where the thermal camera is missing, blind, shows another scene or moment than
    the visible one, or does not see the box.

    Args:
        found: What a detector found in the pair.
        aligned: The pair.
        least: Least score of what is returned.
    """
    if aligned.thermal is None or all(each.label != _PERSON for each in found):
        return tuple(found)
    mask = None if aligned.valid.all() else aligned.valid.view(np.uint8)
    _, deviation = cv2.meanStdDev(aligned.thermal, mask=mask)
    if deviation[0, 0] < _ALIVE:
        return tuple(found)
    flat = _FLAT * float(deviation[0, 0])
    hidden = [each.score < _SURE and _is_hidden(each, aligned, flat) for each in found]
    if not any(hidden) or edge_agreement(aligned) < _SAME_SCENE:
        return tuple(found)
    if any(each.score >= _SURE and _is_hidden(each, aligned, flat) for each in found):
        return tuple(found)
    weighed = [
        replace(each, score=_BELIEF * each.score) if is_hidden else each
        for each, is_hidden in zip(found, hidden, strict=True)
    ]
    kept = [each for each in weighed if each.score >= least]
    return tuple(sorted(kept, key=lambda each: -each.score))


def edge_agreement(aligned: AlignedPair) -> float:
    """Return how far edges of both pictures run along each other, in [-1, 1].

    The mean of cos(2 d) over the angles d between the gradients of both, weighted by the root of
    the product of their strengths: 0 where they have nothing to do with each other, and 1 where
    nothing contradicts, as without edges or without one of the pictures. The sign of an edge does
    not count: what is bright may be cold.
    """
    if aligned.visible is None or aligned.thermal is None:
        return 1.0
    height, width = aligned.valid.shape
    size = (_EDGES_WIDTH, max(2, round(height * _EDGES_WIDTH / width)))
    gray = cv2.cvtColor(aligned.visible, cv2.COLOR_RGB2GRAY)
    seen = cv2.resize(aligned.valid.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    seen = cv2.erode(seen, np.ones((3, 3), np.uint8))
    (x0, y0), (x1, y1) = _gradients(gray, size), _gradients(aligned.thermal, size)
    strength = np.hypot(x0, y0) * np.hypot(x1, y1)
    weight = np.sqrt(strength) * seen
    whole = float(weight.sum())
    cosine = (x0 * x1 + y0 * y1) / np.maximum(strength, np.finfo(np.float32).tiny)
    return float((weight * (2 * cosine * cosine - 1)).sum()) / whole if whole > 0 else 1.0


def _is_hidden(found: Detection, aligned: AlignedPair, flat: float) -> bool:
    """Return whether it is a person whose box has less spread in thermal than ``flat``."""
    return found.label == _PERSON and _spread(aligned, found.box) < flat


def _gradients(
    image: NDArray[Any], size: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    reduced = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    x, y = cv2.Sobel(reduced, cv2.CV_32F, 1, 0), cv2.Sobel(reduced, cv2.CV_32F, 0, 1)
    return np.asarray(x, np.float32), np.asarray(y, np.float32)


def _spread(aligned: AlignedPair, box: Box) -> float:
    """Return the 90th less the 10th percentile of thermal in the middle of a box.

    Infinite where fewer than half of the box is seen, or too little of it to tell.
    """
    assert aligned.thermal is not None, "there is thermal"
    x, y, width, height = box
    left, right = max(0, round(x + 0.2 * width)), max(0, round(x + 0.8 * width))
    top, bottom = max(0, round(y)), max(0, round(y + height))
    steps = (max(1, (bottom - top) // _SAMPLES), max(1, (right - left) // _SAMPLES))
    area = (slice(top, bottom, steps[0]), slice(left, right, steps[1]))
    seen = aligned.thermal[area][aligned.valid[area]]
    if seen.size < 8 or 2 * seen.size < aligned.valid[area].size:
        return float("inf")
    low, high = np.percentile(seen, (10, 90))
    return float(high - low)
