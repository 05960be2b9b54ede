"""What a network that follows a sentence minimises."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.mmaif.controls import Controls
from fusion_core.models.mmaif.refiner import Refined
from fusion_core.models.mmaif.rules import RULES
from fusion_core.models.mmaif.transformer import Latent
from fusion_lab.training.losses import sobel_magnitude, ssim
from fusion_lab.training.wishing.pool import WishingBatch
from fusion_lab.training.wishing.recipe import WishingLoss

_NOTHING: Final = 5e-4  # squared error that is none


def restored_terms(
    made: Refined, batch: WishingBatch, task: str, w: WishingLoss
) -> dict[str, Tensor]:
    """Return the terms of the pixels, weighted; all in float32.

    Args:
        made: What the network made of the crops.
        batch: What was asked for.
        task: The batch's task.
        w: Weights of the terms.
    """
    if task != "vif":
        return _terms(made.fused, batch.target, w)
    visible = _terms(made.sources[0], batch.target, w)
    thermal = _terms(made.sources[1, :, :1], batch.asked_second, w)
    return {name: (value + thermal[name]) / 2 for name, value in visible.items()}


def latent_terms(made: Tensor, wanted: Tensor, latent: Latent, w: WishingLoss) -> dict[str, Tensor]:
    """Return the terms of the transformer, weighted.

    Args:
        made: Latent of a regression, velocity of a flow.
        wanted: What it should be.
        latent: Who worked.
        w: Weights of the terms.
    """
    balance = torch.stack([chosen.balance for chosen in latent.chosen]).mean()
    size = torch.stack([chosen.size for chosen in latent.chosen]).mean()
    return {
        "latent": w.latent * (made - wanted).abs().mean(),
        "balance": w.balance * balance,
        "size": w.size * size,
    }


def opened_terms(controls: Controls, batch: WishingBatch, w: WishingLoss) -> dict[str, Tensor]:
    """Return how far the rules are from taking away what they are for; weighted.

    Args:
        controls: Of the whole regions.
        batch: What is there and what is asked for.
        w: Weights of the terms.
    """
    said = controls.whole[:, :, : len(RULES), 0, 0]
    known = batch.opened.isfinite()
    return {
        "opened": w.opened * F.binary_cross_entropy_with_logits(said[known], batch.opened[known])
    }


def _terms(made: Tensor, wanted: Tensor, w: WishingLoss) -> dict[str, Tensor]:
    # What leaves the range is cut off in use; a tenth of its slope leads back.
    inside = made.clamp(0, 1)
    made = inside + 0.1 * (made - inside)
    luma, target = made[:, :1], wanted[:, :1]
    return {
        "decibels": w.decibels * _powers(made, wanted),
        "pixels": w.pixels * (made - wanted).abs().mean((0, 2, 3)).sum(),
        "ssim": w.ssim * (1 - ssim(luma, target)),
        "edges": w.edges * (sobel_magnitude(luma) - sobel_magnitude(target)).abs().mean(),
    }


def _powers(made: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean of each crop's squared error as a power of ten; it ends at 33 dB."""
    square = (made - wanted).square().mean((2, 3))
    error = square[:, 0] + square[:, 1:].sum(1) / 2
    return (error + _NOTHING).log10().mean()
