"""Reading the memory bank inside a network: by similarity, with gradients."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

TEMPERATURE = 0.1


def retrieve(
    query: Tensor, slots: Tensor, temperature: float = TEMPERATURE
) -> tuple[Tensor, Tensor]:
    """Read a bank by similarity: softmax over cosines, then the weighted sum of the slots.

    M2PN, dynamic memory bank; the paper has no temperature, which is ``temperature=1`` here and
    reads a hundred slots almost evenly.

    Args:
        query: ``BxD`` scene vectors.
        slots: ``NxD``, or ``BxNxD`` of a bank for every vector.
        temperature: Divides the cosines; small is selective.

    Returns:
        What was read, ``BxD``, and the weights of the slots, ``BxN``; float32 outside autocast.
    """
    slots = slots.to(query.device, torch.float32)
    if slots.ndim == 3:
        pairs = [
            retrieve(one[None], own, temperature) for one, own in zip(query, slots, strict=True)
        ]
        read, weights = zip(*pairs, strict=True)
        return torch.cat(read), torch.cat(weights)
    attention = weigh_slots(query, slots, temperature)
    return attention @ slots, attention


def weigh_slots(query: Tensor, slots: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Return how much of each slot every vector reads: softmax over cosines.

    Args:
        query: ``BxD`` or ``BxPxD``.
        slots: ``NxD``, or ``BxNxD`` of a bank for every picture of ``BxPxD``.
        temperature: Divides the cosines; small is selective.

    Returns:
        ``BxN`` or ``BxPxN`` float32; sums to 1 over the slots.
    """
    return (_cosine(query, slots) / temperature).softmax(dim=-1)


def random_slots(count: int, dim: int, norm: float = 1.0) -> Tensor:
    """Return ``count x dim`` random directions of length ``norm``, from torch's global generator.

    A bank starts so, with the mean length of the first batch's scene vectors as ``norm``.
    """
    return F.normalize(torch.randn(count, dim), dim=1) * norm


def _cosine(query: Tensor, slots: Tensor) -> Tensor:
    return _unit(query) @ _unit(slots).mT


def _unit(vectors: Tensor) -> Tensor:
    # F.normalize exports the lengths expanded to the vectors' shape, in a pass of its own.
    vectors = vectors.float()
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / lengths.clamp_min(1e-12)
