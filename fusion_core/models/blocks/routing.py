"""Mixture of experts: noisy top-k gates, and the loss that keeps the experts in balance."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.blocks.joint import BatchMixer

_NOISE_FLOOR = 0.1
# Share of the running statistics that one training step renews.
_RENEWED = 0.05
_EPS = 1e-10
_FLAT = 1e-6


class Routing(NamedTuple):
    """Which experts work.

    Attributes:
        gates: ``BxE`` or ``BxExHxW``, zero but for the chosen experts, sum 1 over ``E``.
        balance: cv^2(importance) + cv^2(load), a scalar.
    """

    gates: Tensor
    balance: Tensor


class NoisyTopK(BatchMixer):
    """Choose ``k`` of ``E`` experts by noisy logits (Shazeer et al. 2017, eq. 3-5 and 8-11).

    In training ``h = l + n (softplus(s) + 0.1)`` with ``n ~ N(0, 1)``, else ``h = l``; the gates
    are the softmax over the ``k`` largest ``h``. Importance is the sum of an expert's gates, its
    load the smooth probability of being chosen under the noise.

    With ``standardise``, each expert's logit before that loses the mean over the experts and is
    standardised by its running mean and deviation over the training, not in the paper: of a few
    pictures, a fair choice, too, is uneven, so that the balance of small batches is bought most
    cheaply by giving all pictures the same logits, which leaves the choice to the noise, and after
    training to whichever is a hair above the others.

    Args:
        k: Experts that work for one input.
        experts: Experts E.
        standardise: Standardise the logits; of the many inputs of a network that routes tokens, a
            fair choice is an even one.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, k: int, experts: int, *, standardise: bool = True) -> None:
        super().__init__()
        self.k = min(k, experts)
        self.standardise = standardise
        if not standardise:
            return
        self.register_buffer("mean", torch.zeros(experts))
        self.register_buffer("variance", torch.ones(experts))

    def forward(self, logits: Tensor, spread: Tensor) -> Routing:
        """Return gates of logits and noise spreads, both ``BxE`` or ``BxExHxW``, float32."""
        if self.standardise:
            logits = self._standardised(logits)
        scale = F.softplus(spread) + _NOISE_FLOOR
        noisy = logits
        if self.training:
            noisy = logits + self.joint.draw(torch.randn_like, logits) * scale
        values, chosen = noisy.topk(self.k, dim=1)
        gates = torch.zeros_like(noisy).scatter(1, chosen, values.softmax(dim=1))
        axes = [axis for axis in range(gates.ndim) if axis != 1]
        importance = self.joint.gather(gates).sum(axes)
        load = self.joint.gather(self._load(logits, noisy, scale)).sum(axes)
        return Routing(gates, squared_variation(importance) + squared_variation(load))

    @torch.no_grad()
    def calibrate(self, logits: Tensor) -> None:
        """Take mean and deviation of the raw logits ``NxE`` of ``N`` inputs.

        Averaged weights need it: their logits are not the average of the logits.
        """
        centred = logits - logits.mean(1, keepdim=True)
        self.mean.copy_(centred.mean(0))
        self.variance.copy_(centred.var(0, unbiased=False))

    def _standardised(self, logits: Tensor) -> Tensor:
        """Return logits of mean 0 and deviation 1 over the training's pictures, per expert."""
        axes = [axis for axis in range(logits.ndim) if axis != 1]
        logits = logits - logits.mean(1, keepdim=True)
        if self.training:
            seen = self.joint.gather(logits.detach())
            self.mean.lerp_(seen.mean(axes), _RENEWED)
            around = (seen - _per_expert(self.mean, seen)).square().mean(axes)
            self.variance.lerp_(around, _RENEWED)
        # Copies, or the next batch would change them before this one's gradient.
        mean, variance = (
            _per_expert(value.clone(), logits) for value in (self.mean, self.variance)
        )
        return (logits - mean) * (variance + _FLAT).rsqrt()

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


def _per_expert(values: Tensor, like: Tensor) -> Tensor:
    """Return ``E`` values in the shape in which they meet ``BxE`` or ``BxExHxW``."""
    return values.reshape(-1, *[1] * (like.ndim - 2))


def squared_variation(values: Tensor) -> Tensor:
    """Return the squared coefficient of variation, var / (mean^2 + 1e-10)."""
    return values.var(unbiased=False) / (values.mean().square() + _EPS)
