"""What a restoring network minimises: restored and fused against clean sources."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.mdaif import Restored
from fusion_lab.training.restoring.pool import RestoringBatch
from fusion_lab.training.restoring.recipe import RestoringLoss

_EDGE = 1e-4
_TONE_CELL = 16
# Squared error below which a picture counts as restored: 40 dB.
_RESTORED = 1e-4


def restoring_objective(
    made: Restored,
    batch: RestoringBatch,
    target: Tensor | None,
    orthonormality: Tensor,
    weights: RestoringLoss,
) -> dict[str, Tensor]:
    """Return every active term, weighted, and their sum as ``total``; all in float32.

    Args:
        made: What the network made of the degraded pictures.
        batch: Degraded and clean pictures.
        target: ``Bx1xHxW`` what the clean pictures are fused to; None for a network that restores
            alone.
        orthonormality: Squared distance of the network's prototypes to orthonormal ones.
        weights: Weights of the terms.
    """
    visible = batch.clean[:, :1]
    terms: dict[str, Tensor] = {}
    if target is not None:
        terms["fused"] = weights.fused * F.l1_loss(made.fused[:, :1], target)
        terms["edges"] = weights.edges * edge_loss(made.fused[:, :1], target)
        terms["thermal"] = weights.thermal * F.l1_loss(made.thermal, batch.clean_thermal)
    terms["restored"] = weights.restored * F.l1_loss(made.visible, visible)
    terms["decibels"] = weights.decibels * decibel_loss(made.visible, visible)
    terms["tone"] = weights.tone * tone_loss(made.visible, visible)
    darkest = torch.minimum(visible, batch.degraded[:, :1])
    terms["darkened"] = weights.darkened * F.relu(darkest - made.visible).mean()
    terms["detail"] = weights.detail * edge_loss(made.visible, visible)
    terms["chroma"] = weights.chroma * 2 * F.l1_loss(made.fused[:, 1:], batch.clean[:, 1:])
    alike = made.activations.shape[-1] == batch.weather.shape[-1]
    if weights.weather and alike and batch.tokens.shape[1]:
        terms["weather"] = weights.weather * weather_loss(made.activations, batch.weather)
    terms["balance"] = weights.balance * made.balance.float()
    terms["orthonormality"] = weights.orthonormality * orthonormality
    terms["total"] = torch.stack(list(terms.values())).sum()
    return terms


def edge_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean L1 distance of the differences of neighbours, across and down summed."""
    error = found - wanted
    return error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()


def decibel_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean over the pictures of ln(1 + squared error / 1e-4)."""
    return torch.log1p((found - wanted).square().mean((1, 2, 3)) / _RESTORED).mean()


def tone_loss(found: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean squared distance of the means of 16x16 pixels.

    Where the veil leaves open how bright a place is, its minimum is the mean of what may be, and
    the minimum of L1 the median.
    """
    return F.avg_pool2d(found - wanted, _TONE_CELL).square().mean()


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
