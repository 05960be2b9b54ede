"""The objective of a network that takes a mask (CtrlFuse, section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models import LumaOutput
from fusion_lab.training.losses import smooth_box, sobel_magnitude
from fusion_lab.training.objective import LossWeights, objective
from fusion_lab.training.prompting.batches import PromptBatch

_Weight = Annotated[float, Field(ge=0)]
# Share of the picture that is added to a mask's area: a mask of a few pixels does not rule a step.
_AREA_FLOOR = 0.01
_DICE_SMOOTH = 1.0


@dataclass(frozen=True)
class PromptWeights:
    """Weights of the terms that concern the mask.

    Attributes:
        fused: The reference's whole objective, on the prompted picture.
        pixel: L1 to the brighter source inside, to the mean of the sources outside (L_pix).
        emphasis: L1 inside to the reference with its contrast to the surround enlarged, and to the
            larger Sobel magnitude of the sources enlarged alike.
        outside: L1 outside to the reference, over the area inside.
        segmentation: Cross-entropy and Dice of both modalities' logits, halved (L_seg).
        contrast: By how much the emphasis enlarges.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    fused: _Weight = 0.0
    pixel: _Weight = 0.0
    emphasis: _Weight = 0.0
    outside: _Weight = 0.0
    segmentation: _Weight = 1.0
    contrast: Annotated[float, Field(ge=1)] = 1.0


def prompt_objective(
    output: LumaOutput, batch: PromptBatch, reference: LossWeights | None, weights: PromptWeights
) -> dict[str, Tensor]:
    """Return every active term, weighted, and their sum as ``total``; all in float32.

    Args:
        output: What the network made of the batch.
        batch: Sources, prompts and what was meant.
        reference: Weights of the objective of the reference fusion; None where it does not learn.
        weights: Weights of what concerns the mask.
    """
    assert output.reference is not None, "a network in training keeps its reference fusion"
    assert output.logits is not None, "a network in training segments"
    fused, plain = output.fused.float(), output.reference.float()
    terms: dict[str, Tensor] = {}
    if reference is not None:
        terms = objective(LumaOutput(plain), batch.pictures, reference)
        del terms["total"]
    inside, outside = batch.target, 1 - batch.target
    if weights.fused and reference is not None:
        again = objective(LumaOutput(fused), batch.pictures, reference)
        terms["fused"] = weights.fused * again["total"]
    thermal, visible = batch.pictures.thermal, batch.pictures.visible
    if weights.pixel:
        brighter, mean = torch.maximum(thermal, visible), (thermal + visible) / 2
        off = inside * (fused - brighter).abs() + outside * (fused - mean).abs()
        terms["pixel"] = weights.pixel * off.mean()
    if weights.emphasis:
        loss = emphasis_loss(fused, plain.detach(), batch, weights.contrast)
        terms["emphasis"] = weights.emphasis * loss
    if weights.outside:
        change = (outside * (fused - plain.detach()).abs()).mean((1, 2, 3))
        area = inside.mean((1, 2, 3)) + _AREA_FLOOR
        terms["outside"] = weights.outside * (change / area).mean()
    if weights.segmentation:
        loss = segmentation_loss(output.logits.float(), batch)
        terms["segmentation"] = weights.segmentation * loss
    terms["total"] = torch.stack(list(terms.values())).sum()
    return terms


def emphasis_loss(fused: Tensor, reference: Tensor, batch: PromptBatch, contrast: float) -> Tensor:
    """Return the mean distance inside the target to a picture of larger contrast.

    Its intensity is ``m + contrast (reference - m)`` with the mean ``m`` of the reference over the
    surround, 63x63 pixels; the brighter source, to which the published loss draws, would hide a
    dark target in front of a bright sky. Its Sobel magnitude is ``contrast`` times the larger one
    of the sources.
    """
    inside, sources = batch.target, batch.pictures
    surround = smooth_box(reference)
    emphasised = (surround + contrast * (reference - surround)).clamp(0, 1)
    edges = torch.maximum(sobel_magnitude(sources.thermal), sobel_magnitude(sources.visible))
    off = (fused - emphasised).abs() + (sobel_magnitude(fused) - contrast * edges).abs()
    area = inside.mean((1, 2, 3)) + _AREA_FLOOR
    return ((inside * off).mean((1, 2, 3)) / area).mean()


def segmentation_loss(logits: Tensor, batch: PromptBatch) -> Tensor:
    """Return cross-entropy and Dice of ``BxKxhxw`` logits, over the crops that have a prompt."""
    prompted = batch.prompt.amax((1, 2, 3)) > 0
    if not bool(prompted.any()):
        return logits.sum() * 0
    logits = full_size(logits[prompted], batch.target.shape[-2:])
    target = batch.target[prompted].expand_as(logits)
    entropy = F.binary_cross_entropy_with_logits(logits, target)
    found = logits.sigmoid()
    shared, both = (found * target).sum((2, 3)), (found + target).sum((2, 3))
    dice = 1 - (2 * shared + _DICE_SMOOTH) / (both + _DICE_SMOOTH)
    return entropy + dice.mean()


def full_size(logits: Tensor, size: tuple[int, ...]) -> Tensor:
    """Enlarge ``BxKxhxw`` logits from the network's grid to a picture of height and width."""
    factor = -(-size[0] // logits.shape[-2])
    full = F.interpolate(logits, scale_factor=factor, mode="bilinear", align_corners=False)
    return full[..., : size[0], : size[1]]
