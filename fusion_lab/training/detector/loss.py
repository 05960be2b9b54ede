"""What a batch of predictions costs."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from fusion_lab.data.labels import PERSON
from fusion_lab.training.detector.assign import Objects, assign
from fusion_lab.training.detector.boxes import complete_iou
from fusion_lab.training.detector.network import Predictions

BOX_WEIGHT = 5.0
THERMAL_WEIGHT = 0.5
TRUST_WEIGHT = 0.25


def pair_loss(
    predictions: Predictions, objects: Sequence[Objects], people: Sequence[Objects]
) -> dict[str, Tensor]:
    """Return ``total``, ``both``, ``thermal`` and ``trust``: the costs of both views of a batch.

    ``trust`` holds the thermal branch's scores, weighed, to what both cameras together show.

    Args:
        predictions: Of ``2B``, see :meth:`PairNano.features`.
        objects: What each of ``B`` pictures shows.
        people: The people whom thermal alone shows in each.
    """
    mixed, alone = predictions.views()
    both, thermal = detection_loss(mixed, objects)["total"], detection_loss(alone, people)["total"]
    trust = trust_loss(alone, objects, people)
    total = both + THERMAL_WEIGHT * thermal + TRUST_WEIGHT * trust
    return {"total": total, "both": both, "thermal": thermal, "trust": trust}


def trust_loss(alone: Predictions, objects: Sequence[Objects], people: Sequence[Objects]) -> Tensor:
    """Return the cost of the thermal branch's weighed scores, per unit of target score.

    Only the trust learns from it. Points of people whom both cameras and thermal
    alone show are positive; points that answer for nothing and lie in no ignored region negative.

    Args:
        alone: Of the thermal branch, ``B`` pictures.
        objects: What each shows to both cameras.
        people: The people whom thermal alone shows in each.
    """
    cost = alone.trust.sum() * 0
    amount = alone.trust.new_zeros(())
    fixed = alone._replace(logits=alone.logits.detach()).weighed().logits
    for weighed, logits, boxes, whole, seen in zip(
        fixed, alone.logits, alone.boxes, objects, people, strict=True
    ):
        known = whole.classes == PERSON
        shown = Objects(whole.boxes[known], whole.classes[known], whole.ignore)
        targets = assign(logits, boxes, alone.points, shown if len(seen.boxes) else seen)
        each = F.binary_cross_entropy_with_logits(weighed, targets.scores, reduction="none")
        cost = cost + (each * targets.weights[:, None]).sum()
        amount = amount + targets.scores.sum()
    return cost / amount.clamp(min=1.0)


def detection_loss(predictions: Predictions, batch: Sequence[Objects]) -> dict[str, Tensor]:
    """Return ``total``, ``score`` and ``box``, each per unit of target score in the batch.

    ``score`` is the binary cross-entropy of all points that do not lie in an ignored region,
    against soft targets; ``box`` is 1 - complete IoU of the points that answer for an
    object, weighted by their targets.

    Args:
        predictions: Of ``B`` pictures.
        batch: What each of them shows.
    """
    score = predictions.logits.sum() * 0
    box, amount = score, predictions.logits.new_zeros(())
    for logits, boxes, objects in zip(predictions.logits, predictions.boxes, batch, strict=True):
        targets = assign(logits, boxes, predictions.points, objects)
        cost = F.binary_cross_entropy_with_logits(logits, targets.scores, reduction="none")
        score = score + (cost * targets.weights[:, None]).sum()
        weight = targets.scores[targets.positive].sum(1)
        fit = complete_iou(boxes[targets.positive], objects.boxes[targets.owner])
        box = box + ((1 - fit) * weight).sum()
        amount = amount + weight.sum()
    unit = amount.clamp(min=1.0)
    score, box = score / unit, box / unit
    return {"total": score + BOX_WEIGHT * box, "score": score, "box": box}
