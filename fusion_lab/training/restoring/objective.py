"""What a restoring network minimises: fused and restored pictures against the clean ones."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models import LumaOutput
from fusion_core.models.mdaif import Restored
from fusion_lab.training.batches import PairBatch
from fusion_lab.training.losses import sobel_magnitude
from fusion_lab.training.objective import objective
from fusion_lab.training.restoring.pool import RestoringBatch
from fusion_lab.training.restoring.recipe import RestoringLoss

_EDGE = 1e-4


def restoring_objective(
    made: Restored, batch: RestoringBatch, orthonormality: Tensor, weights: RestoringLoss
) -> dict[str, Tensor]:
    """Return every active term, weighted, and their sum as ``total``; all in float32.

    Args:
        made: What the network made of the degraded pictures.
        batch: Degraded and clean pictures.
        orthonormality: Squared distance of the network's prototypes to orthonormal ones.
        weights: Weights of the terms.
    """
    visible, thermal = batch.clean[:, :1], batch.clean_thermal
    fused = made.fused[:, :1]
    terms: dict[str, Tensor] = {}
    if weights.fusion is not None:
        sources = PairBatch(thermal, visible, batch.salient)
        terms = objective(LumaOutput(fused), sources, weights.fusion)
        del terms["total"]
    if weights.fidelity:
        both = (F.mse_loss(fused, visible) + F.mse_loss(fused, thermal)) / 2
        terms["fidelity"] = weights.fidelity * both
    if weights.detail:
        lost = sobel_magnitude(made.visible) - sobel_magnitude(visible)
        terms["detail"] = weights.detail * lost.abs().mean()
    terms["chroma"] = weights.chroma * 2 * F.l1_loss(made.fused[:, 1:], batch.clean[:, 1:])
    restored = F.l1_loss(made.visible, visible) + F.l1_loss(made.thermal, thermal)
    terms["restored"] = weights.restored * restored
    alike = made.activations.shape[-1] == batch.weather.shape[-1]
    if weights.weather and alike and batch.tokens.shape[1]:
        terms["weather"] = weights.weather * weather_loss(made.activations, batch.weather)
    terms["balance"] = weights.balance * made.balance.float()
    terms["orthonormality"] = weights.orthonormality * orthonormality
    terms["total"] = torch.stack(list(terms.values())).sum()
    return terms


def weather_loss(activations: Tensor, weather: Tensor) -> Tensor:
    """Return the cross entropy of prototype activations against what weather there is.

    Not in the paper, where prototypes become distinct without a loss of their own.

    Args:
        activations: ``BxLxK`` in (0, 1), per scale.
        weather: ``BxK`` in {0, 1}, see ``WEATHERS``.
    """
    target = weather[:, None].expand_as(activations)
    inside = activations.float().clamp(_EDGE, 1 - _EDGE)
    return F.binary_cross_entropy(inside, target)
