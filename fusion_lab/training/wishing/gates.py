"""The gates of a text, fitted to wishes before the training begins."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.mmaif.looks import CLOSED, GATES, Looks
from fusion_core.sentences import DEGRADATIONS, PLAIN, SLIGHT, STRONG, STYLES, TARGETS, Wish

_STEPS, _BATCH, _RATE = 200, 64, 0.15
_NAMED: Final = 0.25  # share of wishes that name a thing, or ask for a style
_REMOVED: Final = 0.15
_STRENGTHS: Final = (SLIGHT, PLAIN, STRONG)


def fit_gates(looks: Looks, seed: int) -> float:
    """Fit the gates to random wishes; return the last loss.

    Args:
        looks: Changed in place; its text's first token holds a wish, see :meth:`Wish.vector`.
        seed: Seed of the wishes.
    """
    rng = np.random.default_rng((seed, 9))
    optimiser = torch.optim.Adam(looks.parameters(), _RATE)
    loss = torch.zeros(())
    for step in range(_STEPS):
        wishes = [_random_wish(rng) for _ in range(_BATCH)]
        loss = gates_loss(looks, wishes)
        for group in optimiser.param_groups:
            group["lr"] = _RATE * (1 - step / _STEPS)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    # Left behind, they would count in the norm of every step of the run, but not after a resume.
    optimiser.zero_grad()
    return float(loss.detach())


def gates_loss(looks: Looks, wishes: list[Wish]) -> Tensor:
    """Return the cross entropy of the gates against wishes."""
    vectors = torch.from_numpy(np.stack([wish.vector() for wish in wishes]))
    place = looks.gates.weight
    tokens = F.pad(vectors, (0, place.shape[1] - vectors.shape[1])).to(place)
    wanted = torch.tensor([opened(wish) for wish in wishes]).to(place)
    return F.binary_cross_entropy_with_logits(looks.logits(tokens), wanted)


def opened(wish: Wish) -> list[float]:
    """Return how far a wish opens each of ``GATES``, as the sigmoid that says so."""
    things = max(wish.targets.get("people", 0.0), wish.targets.get("vehicles", 0.0))
    found = {**wish.styles, "hot": wish.targets.get("hot", 0.0), "things": things}
    amounts = [found.get(name, 0.0) for name in GATES]
    return [CLOSED + (1 - CLOSED) * amount if amount else 0.0 for amount in amounts]


def _random_wish(rng: np.random.Generator) -> Wish:
    def some(names: tuple[str, ...], share: float) -> dict[str, float]:
        return {name: float(rng.choice(_STRENGTHS)) for name in names if rng.random() < share}

    return Wish(
        remove=some(DEGRADATIONS, _REMOVED),
        targets=some(TARGETS, _NAMED),
        styles=some(STYLES, _NAMED),
    )
