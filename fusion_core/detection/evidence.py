"""People must show in a thermal camera that works: who does not is believed less.

What only looks like a person to the colour camera (a parked two-wheeler, an opening of a façade, a
poster) is as flat in thermal as the wall behind it; a body with clothes, face and hands never is.
The score is lowered, not struck out: whom the detector is sure of stays, also where the thermal
camera is frozen on another scene without anybody having noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import cv2
import numpy as np

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


def weigh_by_thermal(
    found: Sequence[Detection], aligned: AlignedPair, least: float
) -> tuple[Detection, ...]:
    """Return detections, best first, with less of the score for people whom thermal does not show.

    Nothing changes where the thermal camera is missing, blind, or does not see the box.

    Args:
        found: What a detector found in the pair.
        aligned: The pair.
        least: Least score of what is returned.
    """
    if aligned.thermal is None or all(each.label != _PERSON for each in found):
        return tuple(found)
    _, deviation = cv2.meanStdDev(aligned.thermal, mask=aligned.valid.astype(np.uint8))
    if deviation[0, 0] < _ALIVE:
        return tuple(found)
    flat = _FLAT * float(deviation[0, 0])
    weighed = [
        replace(each, score=_BELIEF * each.score)
        if each.label == _PERSON and each.score < _SURE and _spread(aligned, each.box) < flat
        else each
        for each in found
    ]
    kept = [each for each in weighed if each.score >= least]
    return tuple(sorted(kept, key=lambda each: -each.score))


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
