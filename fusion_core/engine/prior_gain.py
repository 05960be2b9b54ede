"""How sure a prior has to be before a picture is changed, and by how much it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from fusion_core.models.stream import StreamState

# Below the first probability a picture stays as it is, bit by bit; the gain is 1 at the second.
_SUSPECT, _SURE = 0.6, 0.9
# Time constant of the gains in seconds, so that neither a new prior nor a clipped share that sways
# shows as a jump.
_GAINS_S: Final = 0.7
# What is left of a gain that nobody sees; with it the picture is again as it is, bit by bit.
_UNSEEN: Final = 1 / 256


def prior_gain(probabilities: Mapping[str, float], kind: str) -> float:
    """Return 0 to 1 for the probability of a kind of degradation."""
    return float(np.clip((probabilities.get(kind, 0.0) - _SUSPECT) / (_SURE - _SUSPECT), 0, 1))


def steady_gain(stream: StreamState, name: str, target: float) -> float:
    """Return the average of a gain over a stream, 0 where nobody sees what is left of it.

    Args:
        stream: The stream at its newest frame; at its first frame the target counts alone.
        name: Whose gain.
        target: What the newest frame and the last prior ask for, in [0, 1].
    """
    gain = float(stream.averaged(f"gain of {name}", np.float64(target), _GAINS_S))
    return gain if target or gain > _UNSEEN else 0.0
