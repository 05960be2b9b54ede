"""How good probabilities are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BINS = 10


def average_precision(found: Tensor, labels: Tensor) -> float:
    """Return the area under precision over recall, by steps; nan without a positive.

    Args:
        found: ``N`` scores.
        labels: ``N`` of 0 or 1.
    """
    if not labels.sum():
        return float("nan")
    hits = labels[found.argsort(descending=True, stable=True)].double()
    precision = hits.cumsum(0) / torch.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / hits.sum())


def calibration_error(found: Tensor, labels: Tensor) -> float:
    """Return the expected calibration error (Guo et al. 2017) over ten equal bins.

    The mean over bins, weighted by their content, of the distance between the mean probability and
    the share of positives.

    Args:
        found: ``N`` probabilities.
        labels: ``N`` of 0 or 1.
    """
    probability, truth = found.double().numpy(), labels.double().numpy()
    place = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    total = np.bincount(place, probability - truth, _BINS)
    return float(np.abs(total).sum() / len(truth))


def confusion(
    found: NDArray[Any], severities: Sequence[Mapping[str, float]], kinds: Sequence[str]
) -> NDArray[np.float64]:
    """Return, per kind alone in a picture, the shares of the kinds that are the strongest answer.

    Args:
        found: ``NxK`` probabilities.
        severities: What was done to each picture; mixtures are left out.
        kinds: The K kinds, ``clean`` first.
    """
    table = np.zeros((len(kinds), len(kinds)))
    for row, done in zip(found, severities, strict=True):
        if len(done) <= 1:
            truth = kinds.index(next(iter(done), "clean"))
            table[truth, int(np.argmax(row))] += 1
    shares: NDArray[np.float64] = table / np.maximum(table.sum(1, keepdims=True), 1)
    return shares
