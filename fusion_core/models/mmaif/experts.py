"""Gated linear units of which each token chooses some, beside one that all tokens share."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Chosen(NamedTuple):
    """Who worked.

    Attributes:
        shares: ``E`` shares of the tokens that each routed expert got, sum 1.
        balance: ``E sum_e f_e P_e``, 1 where all experts get the same (Shazeer et al. 2017).
        size: Mean square of the log partition of the router's logits (Zoph et al. 2022).
    """

    shares: Tensor
    balance: Tensor
    size: Tensor


class GatedUnit(nn.Module):
    """``W_out (SiLU(W_g x) * W_u x)``.

    Args:
        width: Channels of the tokens.
        hidden: Channels inside.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Linear(width, 2 * hidden)
        self.leave = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``...xC`` of ``...xC``."""
        gate, value = self.enter(x).chunk(2, -1)
        out: Tensor = self.leave(F.silu(gate) * value)
        return out


class GatedExperts(nn.Module):
    """One shared expert, and routed ones of which every token chooses the best (MMAIF).

    The chosen are weighed by their probability, so that the router learns; where more than one is
    chosen the weights sum up to 1. With one routed expert it is a dense gated unit of both.

    Args:
        width: Channels of the tokens.
        hidden: Channels inside an expert.
        experts: Routed experts.
        chosen: How many of them work for one token.
    """

    def __init__(self, width: int, hidden: int, experts: int, chosen: int) -> None:
        super().__init__()
        self.chosen = min(chosen, experts)
        self.shared = GatedUnit(width, hidden)
        self.experts = nn.ModuleList(GatedUnit(width, hidden) for _ in range(experts))
        self.router = nn.Linear(width, experts, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Chosen]:
        """Return ``BxNxC`` of ``BxNxC`` tokens, and who worked."""
        flat = x.flatten(0, 1)
        # In float32: half precision would turn near ties around.
        with torch.autocast(x.device.type, enabled=False):
            logits = self.router(flat.float())
            odds = logits.softmax(-1)
        best, index = self.route(odds)
        routed = torch.zeros_like(flat)
        for number, expert in enumerate(self.experts):
            rows, place = (index == number).nonzero(as_tuple=True)
            if len(rows):
                said = expert(flat[rows]) * best[rows, place, None].to(flat)
                routed = routed.index_add(0, rows, said.to(routed))
        sent = F.one_hot(index, len(self.experts)).sum(1).float().mean(0) / self.chosen
        balance = len(self.experts) * (sent * odds.mean(0)).sum()
        size = logits.logsumexp(-1).square().mean()
        out = self.shared(x) + routed.reshape(x.shape)
        return out, Chosen(sent, balance, size)

    def route(self, odds: Tensor) -> tuple[Tensor, Tensor]:
        """Return weights and numbers ``NxK`` of the experts that work, of odds ``NxE``."""
        best, index = odds.topk(self.chosen, -1)
        if self.chosen > 1:
            best = best / best.sum(-1, keepdim=True)
        return best, index
