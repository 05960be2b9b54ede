"""The objective of each task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.colour import luma_of
from fusion_core.models.tcmoa import Decided
from fusion_lab.training.adapting import terms
from fusion_lab.training.adapting.batches import TaskBatch
from fusion_lab.training.losses import ssim

_Weight = Annotated[float, Field(ge=0)]
_ENCODER, _DECODER = 0.75, 0.25
_UNSURE = 0.02  # no prompt is taught to be nearer to 0 or 1


@dataclass(frozen=True)
class TaskLoss:
    """Weights of a task's terms; a term of weight 0 is not computed.

    Attributes:
        gradient: L1 to the larger gradient of the sources.
        brighter: L1 to the brighter source, pixel by pixel.
        mean: L1 to the mean of the sources.
        ssim: Structural dissimilarity to both sources, mean.
        exposures: 1 - MEF-SSIM.
        reversed_tones: Halos: luma that falls where both sources' rises.
        tone: L1 at a coarse scale to the better exposed mean of the sources.
        edges: 1 - Qabf.
        information: 2 - VIF to both sources.
        selected: To the source that has the sharper patch, patch by patch: L1 of pixels, thrice
            that of gradients.
        target: The same to the true target, where there is one.
        target_ssim: Structural dissimilarity to the selected patches, or to the true target.
        undecided: Four times the product of the shares of two sources.
        prompts: Squared distance of the prompts' sum to 1.
        agreement: Cross-entropy between every layer's prompts and the shares that the evidence of
            pixels alone would give the token, less that of the shares themselves.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    gradient: _Weight = 0.0
    brighter: _Weight = 0.0
    mean: _Weight = 0.0
    ssim: _Weight = 0.0
    exposures: _Weight = 0.0
    reversed_tones: _Weight = 0.0
    tone: _Weight = 0.0
    edges: _Weight = 0.0
    information: _Weight = 0.0
    selected: _Weight = 0.0
    target: _Weight = 0.0
    target_ssim: _Weight = 0.0
    undecided: _Weight = 0.0
    prompts: _Weight = 1.0
    agreement: _Weight = 0.0


def task_objective(
    made: Decided, batch: TaskBatch, weights: TaskLoss, encoder_layers: int
) -> dict[str, Tensor]:
    """Return every active term of a batch of pairs, weighted, without their sum.

    Args:
        made: What the network made of the batch.
        batch: The sources, and the target where there is one.
        weights: Weights of the terms.
        encoder_layers: Adapter layers of the encoder; those after them are the decoder's.
    """
    # What leaves the range is cut off in use; a tenth of its slope leads back.
    inside = made.image.clamp(0, 1)
    fused = inside + 0.1 * (made.image - inside)
    first, second = batch.first, batch.second
    lumas = luma_of(fused), luma_of(first), luma_of(second)
    computed: dict[str, Callable[[], Tensor]] = {
        "gradient": lambda: terms.larger_gradient(fused, first, second),
        "brighter": lambda: _distance(fused, torch.maximum(first, second)),
        "mean": lambda: _distance(fused, (first + second) / 2),
        "ssim": lambda: 1 - (ssim(lumas[0], lumas[1]) + ssim(lumas[0], lumas[2])) / 2,
        "exposures": lambda: terms.structure_of_exposures(*lumas),
        "reversed_tones": lambda: terms.reversed_tones(*lumas),
        "tone": lambda: terms.tone(*lumas),
        "edges": lambda: terms.lost_edges(*lumas),
        "information": lambda: terms.lost_information(*lumas),
        "prompts": lambda: prompt_sum_loss(made.told.prompts, encoder_layers),
    }
    if made.shares:
        share = made.shares[0]
        computed["undecided"] = lambda: 4 * (share[:, 0] * share[:, 1]).mean()
    if made.weighed is not None:
        taught = made.weighed
        computed["agreement"] = lambda: agreement_loss(made.told.prompts, taught)
    weighed = {name: getattr(weights, name) for name in computed}
    found = {name: weighed[name] * compute() for name, compute in computed.items() if weighed[name]}
    return found | _towards_target(fused, batch, weights)


def prompt_sum_loss(prompts: Tensor, encoder_layers: int) -> Tensor:
    """Return TC-MoA's mutual-information term: the prompts of both sources shall add up to 1.

    Args:
        prompts: ``BxLxNx2``, the encoder's layers first.
        encoder_layers: How many of the layers are the encoder's.
    """
    wrong = (prompts.sum(-1) - 1).square().mean((0, 2))
    encoder, decoder = wrong[:encoder_layers], wrong[encoder_layers:]
    total = _ENCODER * encoder.mean()
    return total + _DECODER * decoder.mean() if len(decoder) else total


def agreement_loss(prompts: Tensor, weighed: Tensor) -> Tensor:
    """Return how far the prompts of all layers are from what pixels say of their tokens.

    The pixels teach the prompts, not the other way round.

    Args:
        prompts: ``BxLxNx2``.
        weighed: ``BxN`` shares of the first source.
    """
    first = weighed.detach().clamp(_UNSURE, 1 - _UNSURE)[:, None]
    taught = torch.stack((first, 1 - first), -1).expand_as(prompts)
    least = F.binary_cross_entropy(taught, taught)
    return F.binary_cross_entropy(prompts, taught) - least


def _towards_target(fused: Tensor, batch: TaskBatch, w: TaskLoss) -> dict[str, Tensor]:
    """Return the terms of a target: the true one, else the patches of the sharper source."""
    weight = w.selected if batch.target is None else w.target
    if not weight:
        return {}
    target = batch.target
    if target is None:
        lumas = luma_of(batch.first), luma_of(batch.second)
        target = terms.selected_patches(batch.first, batch.second, lumas)
    found = {"target": weight * terms.to_target(fused, target)}
    if w.target_ssim:
        unlike = 1 - ssim(luma_of(fused), luma_of(target))
        found["target_ssim"] = w.target_ssim * unlike
    return found


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().mean()
