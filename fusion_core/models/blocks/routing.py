"""Mixture of experts: noisy top-k gates, and the loss that keeps the experts in balance."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_NOISE_FLOOR = 0.1
_EPS = 1e-10


class Routing(NamedTuple):
    """Which experts work.

    Attributes:
        gates: ``BxE`` or ``BxExHxW``, zero but for the chosen experts, sum 1 over ``E``.
        balance: cv^2(importance) + cv^2(load), a scalar.
    """

    gates: Tensor
    balance: Tensor


class NoisyTopK(nn.Module):
    """Choose ``k`` of ``E`` experts by noisy logits (Shazeer et al. 2017, eq. 3-5 and 8-11).

    In training ``h = l + n (softplus(s) + 0.1)`` with ``n ~ N(0, 1)``, else ``h = l``; the gates
    are the softmax over the ``k`` largest ``h``. Importance is the sum of an expert's gates, its
    load the smooth probability of being chosen under the noise.

    Args:
        k: Experts that work for one input.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        self.k = k

    def forward(self, logits: Tensor, spread: Tensor) -> Routing:
        """Return gates of logits and noise spreads, both ``BxE`` or ``BxExHxW``, float32."""
        scale = F.softplus(spread) + _NOISE_FLOOR
        noisy = logits + torch.randn_like(logits) * scale if self.training else logits
        k = min(self.k, logits.shape[1])
        values, chosen = noisy.topk(k, dim=1)
        gates = torch.zeros_like(noisy).scatter(1, chosen, values.softmax(dim=1))
        axes = [axis for axis in range(gates.ndim) if axis != 1]
        importance = gates.sum(axes)
        load = self._load(logits, noisy, scale).sum(axes)
        return Routing(gates, squared_variation(importance) + squared_variation(load))

    def _load(self, logits: Tensor, noisy: Tensor, scale: Tensor) -> Tensor:
        """Return the probability that each expert is chosen if only its own noise is drawn anew."""
        experts = logits.shape[1]
        if self.k >= experts:
            return torch.ones_like(logits)
        best = noisy.topk(self.k + 1, dim=1).values
        last_in, first_out = best[:, self.k - 1 : self.k], best[:, self.k :]
        threshold = torch.where(noisy >= last_in, first_out, last_in)
        chosen: Tensor = torch.special.ndtr((logits - threshold) / scale)
        return chosen


def squared_variation(values: Tensor) -> Tensor:
    """Return the squared coefficient of variation, var / (mean^2 + 1e-10)."""
    return values.var(unbiased=False) / (values.mean().square() + _EPS)
