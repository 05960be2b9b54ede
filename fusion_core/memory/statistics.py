"""What happened to a memory bank, from its state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fusion_core.memory.snapshot import Snapshot
from fusion_core.types import FloatImage

HISTORY: Final = 1000  # scores that the threshold is made of
WARM_UP: Final = 200  # scores that it takes to compare with
KAPPA: Final = 0.5  # a query is accepted above mean + KAPPA * std of the history's scores


@dataclass(frozen=True, slots=True)
class BankStats:
    """What happened to a bank; a query is one frame's scene vector with its score.

    Attributes:
        queries: Queries seen since the trained state, accepted or not.
        accepted: Queries that updated a slot.
        rejected: Queries that did not.
        threshold: Score that the next query must exceed; None while there are too few to compare.
        diversity: One minus the mean cosine between two slots: 0 when all slots are alike.
        uses: Per slot, queries that were nearest to it.
        updates: Per slot, queries that were written to it.
        last_used: Per slot, number of the last query (from 0) that was nearest to it or written
            to it; -1 for none.
        age: Per slot, queries since then, or since the trained state.
    """

    queries: int
    accepted: int
    rejected: int
    threshold: float | None
    diversity: float
    uses: tuple[int, ...]
    updates: tuple[int, ...]
    last_used: tuple[int, ...]
    age: tuple[int, ...]


def score_threshold(history: Sequence[float], kappa: float = KAPPA) -> float | None:
    """Return the score that the next query must exceed, None while there are too few to compare.

    Args:
        history: Latest scores.
        kappa: Standard deviations above the mean.
    """
    if len(history) < WARM_UP:
        return None
    scores = np.array(history, np.float64)
    return float(scores.mean() + kappa * scores.std())


def slot_diversity(slots: FloatImage) -> float:
    """Return one minus the mean cosine between two of ``NxD`` slots."""
    count = len(slots)
    if count < 2:
        return 0.0
    lengths = np.linalg.norm(slots, axis=1, keepdims=True)
    directions = slots / np.maximum(lengths, 1e-12)
    cosines = directions @ directions.T
    return float(1 - (cosines.sum() - np.trace(cosines)) / (count * (count - 1)))


def bank_stats(state: Snapshot, kappa: float = KAPPA) -> BankStats:
    """Return the statistics of a bank in this state; see :func:`score_threshold` for ``kappa``."""
    queries = state.accepted + state.rejected
    return BankStats(
        queries=queries,
        accepted=state.accepted,
        rejected=state.rejected,
        threshold=score_threshold(state.history, kappa),
        diversity=slot_diversity(state.slots),
        uses=state.uses,
        updates=state.updates,
        last_used=state.last_used,
        age=tuple(queries - 1 - last for last in state.last_used),
    )
