"""A quality score trained along with the network (M2PN, ablation case 2)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_RATE = 1e-3


class Discriminator(nn.Module):
    """Three strided convolutions and a mean: the logit of "this is a source".

    The paper only names a discriminator in place of CLIP; this is a patch discriminator (Isola et
    al. 2017) of small width, updated by the sign of the gradient, so that its weights are all of
    its state. It scores for the memory only; the fusion network is not trained against it.

    Args:
        seed: Seed of the initial weights.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.features = self._layers()

    @staticmethod
    def _layers() -> nn.Sequential:
        widths = (1, 16, 32, 64)
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(widths):
            layers += [nn.Conv2d(fan_in, fan_out, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, luma: Tensor) -> Tensor:
        """Return ``B`` logits of ``Bx1xHxW`` in [0, 1]."""
        logits: Tensor = self.features(2 * luma - 1)
        return logits.mean((1, 2, 3))

    def score(self, fused: Tensor, thermal: Tensor, visible: Tensor) -> Tensor:
        """Return ``B`` scores in (0, 1) of the fused pictures, then learn from the batch."""
        with torch.no_grad():
            scores = torch.sigmoid(self(fused))
        with torch.enable_grad():
            real = self(torch.cat([thermal, visible]))
            loss = F.softplus(self(fused)).mean() + F.softplus(-real).mean()
            gradients = torch.autograd.grad(loss, list(self.parameters()))
        with torch.no_grad():
            for weight, gradient in zip(self.parameters(), gradients, strict=True):
                weight.sub_(_RATE * gradient.sign())
        return scores
