"""Whether a score of 0.7 means that seven in ten are right, there as here.

A reliability diagram, as numbers, and what it would be worth if scores meant the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

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


@dataclass(frozen=True, slots=True)
class CommonThreshold:
    """Recall of a class with one threshold for all places.

    Attributes:
        as_they_are: At one false detection per picture, and at one in ten pictures.
        calibrated: The same with scores that are right at each place, by the labels of the place
            itself: the most that any calibration by place, or by condition, could bring.
    """

    as_they_are: tuple[float, float]
    calibrated: tuple[float, float]


def common_threshold(places: Sequence[Sequence[ClassTally]]) -> CommonThreshold:
    """Return recall over all places, as scores are and calibrated.

    Args:
        places: The tallies of the pictures of each place.
    """
    pictures = sum(len(tallies) for tallies in places)
    whole = [ClassTally.merged(tallies) for tallies in places]
    objects = sum(tally.objects for tally in whole)
    verdicts = [tally.verdicts() for tally in whole]
    scores = np.concatenate([score for score, _ in verdicts])
    right = np.concatenate([hit for _, hit in verdicts])
    calibrated = np.concatenate([_calibrated(hit) for _, hit in verdicts])

    def recalls(order: NDArray[np.int64]) -> tuple[float, float]:
        hits = right[order]
        false = np.cumsum(~hits)
        one, tenth = (float(hits[false <= share * pictures].sum()) for share in (1.0, 0.1))
        return one / objects, tenth / objects

    return CommonThreshold(
        recalls(np.argsort(-scores, kind="stable")), recalls(np.lexsort((-scores, -calibrated)))
    )


def _calibrated(right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the share that is right at each score, of verdicts in the order of falling scores.

    Isotonic regression (Zadrozny and Elkan, KDD 2002): a better score is never less often right.
    """
    if not len(right):
        return np.zeros(0)
    return np.asarray(isotonic_regression(right.astype(np.float64), increasing=False).x)
