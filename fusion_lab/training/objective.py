"""The objective: which losses a step minimises, and by how much each counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from fusion_core.models import LumaOutput
from fusion_lab.training.batches import PairBatch
from fusion_lab.training.losses import (
    attract,
    brighter_intensity_loss,
    complement_loss,
    gradient_loss,
    halo_loss,
    overshoot_loss,
    repel,
    select,
    selected_intensity_loss,
    spread,
    ssim,
)

_Weight = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class LossWeights:
    """Weights of the objective's terms.

    Attributes:
        selected: L1 to the source that the saliency selects (M2PN, L_w).
        brighter: L1 to the brighter source where the saliency does not select thermal, nor the
            guard forbid it.
        ssim: Structural dissimilarity to both sources, summed.
        gradient: L1 to the larger Sobel magnitude.
        overshoot: Sobel magnitude beyond that.
        halo: Square of Sobel derivatives outside the range of 0 and those of the sources.
        complement: What fused adds to one source correlates with the other source.
        distilled: L1 to the picture of the teacher.
        contrast: The refined thermal and visible scene vectors differ from each other, and each is
            near the mean of its own features (M2PN, three of the five terms of L_ctr, eq. 17).
        apart: Each differs from the mean of the other's features (the other two of eq. 17).
        reading: Not in the paper: the pair's vector, by which the memory is read, is near both
            refined ones, and those of different pairs are apart; else all pairs read the same.
        k: Threshold of the selection in standard deviations.
        guard: Select thermal only where it stands out from the visible surround at least as much
            as the visible image itself does.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    selected: _Weight = 1.0
    brighter: _Weight = 0.0
    ssim: _Weight = 15.0
    gradient: _Weight = 15.0
    overshoot: _Weight = 0.0
    halo: _Weight = 0.0
    complement: _Weight = 0.0
    distilled: _Weight = 0.0
    contrast: _Weight = 1.0
    apart: _Weight = 1.0
    reading: _Weight = 0.0
    k: float = 0.1
    guard: bool = False


def objective(
    output: LumaOutput, batch: PairBatch, weights: LossWeights, taught: Tensor | None = None
) -> dict[str, Tensor]:
    """Return every active term, weighted, and their sum as ``total``; all in float32.

    Args:
        output: What the network made of the batch.
        batch: The sources.
        weights: Weights; a term of weight 0 is not computed.
        taught: ``Bx1xHxW`` what the teacher made of the batch; None: there is none.
    """
    fused = output.fused.float()
    thermal, visible = batch.thermal, batch.visible
    terms: dict[str, Tensor] = {}
    selection = select(thermal, visible, batch.salient, weights.k, guard=weights.guard)
    if weights.selected:
        loss = selected_intensity_loss(fused, thermal, visible, selection)
        terms["selected"] = weights.selected * loss
    if weights.brighter:
        loss = brighter_intensity_loss(fused, thermal, visible, selection)
        terms["brighter"] = weights.brighter * loss
    if weights.ssim:
        terms["ssim"] = weights.ssim * (2 - ssim(fused, thermal) - ssim(fused, visible))
    if weights.gradient:
        terms["gradient"] = weights.gradient * gradient_loss(fused, thermal, visible)
    if weights.overshoot:
        terms["overshoot"] = weights.overshoot * overshoot_loss(fused, thermal, visible)
    if weights.halo:
        terms["halo"] = weights.halo * halo_loss(fused, thermal, visible)
    if weights.complement:
        terms["complement"] = weights.complement * complement_loss(fused, thermal, visible)
    if weights.distilled and taught is not None:
        terms["distilled"] = weights.distilled * (fused - taught).abs().mean()
    if "thermal_graph" in output.nodes:
        nodes = {name: vector.float() for name, vector in output.nodes.items()}
        for name, loss_of in SCENE_TERMS.items():
            if weight := getattr(weights, name):
                terms[name] = weight * loss_of(nodes)
    terms["total"] = torch.stack(list(terms.values())).sum()
    return terms


def contrast_loss(n: Mapping[str, Tensor]) -> Tensor:
    """Return M2PN's terms of a modality's refined vector with its own features and the other's.

    Args:
        n: ``LumaOutput.nodes`` of a network with graph attention, ``BxD`` each.
    """
    thermal, visible = n["thermal_graph"], n["visible_graph"]
    return (
        repel(thermal, visible)
        + attract(thermal, n["thermal"].detach())
        + attract(visible, n["visible"].detach())
    )


def apart_loss(n: Mapping[str, Tensor]) -> Tensor:
    """Return M2PN's terms that push a refined vector away from the other modality's features."""
    return repel(n["thermal_graph"], n["visible"].detach()) + repel(
        n["visible_graph"], n["thermal"].detach()
    )


def reading_loss(n: Mapping[str, Tensor]) -> Tensor:
    """Return the terms of the pair's vectors: near both refined ones, apart from each other."""
    return (
        attract(n["fused"], n["thermal_graph"])
        + attract(n["fused"], n["visible_graph"])
        + spread(n["fused"])
    )


SCENE_TERMS: Final = {"contrast": contrast_loss, "apart": apart_loss, "reading": reading_loss}
