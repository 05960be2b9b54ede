"""What a network that follows a sentence minimises."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.mmaif import Wished
from fusion_core.models.mmaif.transformer import Latent
from fusion_lab.training.losses import sobel_magnitude, ssim
from fusion_lab.training.wishing.pool import WishingBatch
from fusion_lab.training.wishing.recipe import WishingLoss


def wishing_objective(
    made: Wished, batch: WishingBatch, task: str, w: WishingLoss
) -> dict[str, Tensor]:
    """Return the terms of the pixels, weighted; all in float32.

    Args:
        made: What the network made of the crops.
        batch: What was asked for.
        task: The batch's task.
        w: Weights of the terms.
    """
    # What leaves the range is cut off in use; a tenth of its slope leads back.
    inside = made.fused.clamp(0, 1)
    fused = inside + 0.1 * (made.fused - inside)
    luma, wanted = fused[:, :1], batch.target[:, :1]
    terms = {
        "pixels": w.pixels * ((luma - wanted).abs().mean() + 2 * _colours(fused, batch.target)),
        "square": w.square * F.mse_loss(luma, wanted),
        "ssim": w.ssim * (1 - ssim(luma, wanted)),
        "edges": w.edges * (sobel_magnitude(luma) - sobel_magnitude(wanted)).abs().mean(),
    }
    if task == "vif":
        visible, thermal = made.refined.sources[0], made.refined.sources[1, :, :1]
        restored = (visible - batch.asked_first).abs().mean()
        restored = restored + (thermal - batch.asked_second).abs().mean()
        terms["sources"] = w.sources * restored
    return terms


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


def _colours(fused: Tensor, target: Tensor) -> Tensor:
    return (fused[:, 1:] - target[:, 1:]).abs().mean()
