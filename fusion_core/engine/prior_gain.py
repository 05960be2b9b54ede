"""How sure a prior has to be before a picture is changed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

# Below the first probability a picture stays as it is, bit by bit; the gain is 1 at the second.
_SUSPECT, _SURE = 0.6, 0.9


def prior_gain(probabilities: Mapping[str, float], kind: str) -> float:
    """Return 0 to 1 for the probability of a kind of degradation."""
    return float(np.clip((probabilities.get(kind, 0.0) - _SUSPECT) / (_SURE - _SUSPECT), 0, 1))
