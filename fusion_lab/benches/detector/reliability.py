"""How often detections of a score are right: the reliability of scores (Niculescu-Mizil, 2005)."""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from fusion_lab.evaluation.precision import ClassTally

EDGES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0)
"""Limits of the score bins."""


class ScoreBin(NamedTuple):
    """Detections of one range of scores.

    Attributes:
        found: Their number.
        right: How many of them are right.
    """

    found: int
    right: int


def reliability(tally: ClassTally) -> tuple[ScoreBin, ...]:
    """Return what was found and what was right in each bin of ``EDGES``, low scores first.

    Detections that are neither right nor wrong do not count. The lower limit belongs to a bin.
    """
    known = [picture for picture in tally.pictures if picture]
    scores = np.array([score for p in known for score in p["dtScores"]], np.float64)
    counts = np.array([flag == 0 for p in known for flag in p["dtIgnore"][0]], np.bool_)
    right = np.array([match > 0 for p in known for match in p["dtMatches"][0]], np.bool_)
    scores, right = scores[counts], right[counts]
    bins = [(scores >= low) & (scores < high) for low, high in pairwise((*EDGES[:-1], np.inf))]
    return tuple(ScoreBin(int(own.sum()), int(right[own].sum())) for own in bins)
