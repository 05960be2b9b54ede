"""The objective: which losses a step minimises, and by how much each counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

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
        complement: What fused adds to one source correlates with the other source.
        distilled: L1 to the picture of the teacher.
        contrast: Contrastive terms between scene vectors (M2PN, L_ctr).
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
    complement: _Weight = 0.0
    distilled: _Weight = 0.0
    contrast: _Weight = 1.0
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
    if weights.complement:
        terms["complement"] = weights.complement * complement_loss(fused, thermal, visible)
    if weights.distilled and taught is not None:
        terms["distilled"] = weights.distilled * (fused - taught).abs().mean()
    if weights.contrast and "thermal_graph" in output.nodes:
        terms["contrast"] = weights.contrast * contrast_loss(output.nodes)
    terms["total"] = torch.stack(list(terms.values())).sum()
    return terms


def contrast_loss(nodes: Mapping[str, Tensor]) -> Tensor:
    """Return M2PN's five contrastive terms over the scene vectors of a batch, and a sixth.

    The refined thermal and visible vectors differ from each other, each stays near the projected
    mean of its own features, and the pair's vector, by which the memory is read, is near both.
    The sixth keeps the pairs' vectors apart.

    Args:
        nodes: ``LumaOutput.nodes`` of a network with graph attention, ``BxD`` each.
    """
    n = {name: vector.float() for name, vector in nodes.items()}
    thermal, visible = n["thermal_graph"], n["visible_graph"]
    return (
        repel(thermal, visible)
        + attract(thermal, n["thermal"].detach())
        + attract(visible, n["visible"].detach())
        + attract(n["fused"], thermal)
        + attract(n["fused"], visible)
        + spread(n["fused"])
    )
