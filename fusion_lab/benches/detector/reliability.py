"""Whether a score of 0.7 means that seven in ten are right (a reliability diagram, as numbers)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fusion_lab.evaluation.precision import ClassTally

_EDGES: Final = np.linspace(0.1, 1.0, 10)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Detections of like scores.

    Attributes:
        low: Least score.
        count: Detections.
        score: Their mean score; nan without any.
        right: Share of them that is right.
    """

    low: float
    count: int
    score: float
    right: float


def reliability(tallies: Sequence[ClassTally]) -> tuple[ReliabilityBin, ...]:
    """Return how often the detections of each tenth of the scores are right, from 0.1 on."""
    scores, right = ClassTally.merged(tallies).verdicts()
    numbers = np.digitize(scores, _EDGES) - 1
    bins = []
    for number, low in enumerate(_EDGES[:-1]):
        mine = numbers == number
        count = int(mine.sum())
        mean, share = (
            float(values[mine].mean()) if count else float("nan") for values in (scores, right)
        )
        bins.append(ReliabilityBin(float(low), count, mean, share))
    return tuple(bins)


def expected_error(bins: Sequence[ReliabilityBin]) -> float:
    """Return the mean distance of score and share of right ones (expected calibration error)."""
    count = sum(one.count for one in bins)
    errors = (one.count * abs(one.score - one.right) for one in bins if one.count)
    return sum(errors) / count if count else float("nan")
