"""Adapters that all tasks share, and routers of each task that choose among them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.blocks.routing import NoisyTopK
from fusion_core.models.tcmoa.config import TASKS

_LEAST = 1e-30  # keeps the logarithm finite where every chosen adapter says no


class Mixed(NamedTuple):
    """What the chosen adapters say.

    Attributes:
        answer: ``BxNxD``.
        gates: ``BxNxE``, zero but for the chosen ones, sum 1 over ``E``.
        balance: cv^2(importance) + cv^2(load), a scalar.
    """

    answer: Tensor
    gates: Tensor
    balance: Tensor


class TaskAdapters(nn.Module):
    """Noisy top-k of ``E`` small MLPs per token, chosen by the router of a task (TC-MoA, eq. 2-5).

    Args:
        width: Channels of the tokens that are read.
        hidden: Channels inside an adapter.
        out: Channels of the answer.
        experts: Adapters E.
        chosen: Adapters that work for one token.
        combine: ``linear`` or ``logsumexp``.
        lean: Each task's router has a leaning, whatever the token.
    """

    def __init__(
        self,
        width: int,
        hidden: int,
        out: int,
        experts: int,
        chosen: int,
        *,
        combine: Literal["linear", "logsumexp"] = "linear",
        lean: bool = False,
    ) -> None:
        super().__init__()
        self.combine = combine
        self.choose = nn.Parameter(torch.zeros(len(TASKS), width, experts))
        self.noise = nn.Parameter(torch.zeros(len(TASKS), width, experts))
        self.lean = nn.Parameter(torch.zeros(len(TASKS), experts)) if lean else None
        self.gate = NoisyTopK(chosen, experts, standardise=False)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, out))
            for _ in range(experts)
        )

    def forward(self, tokens: Tensor, routing: Mapping[str, float]) -> Mixed:
        """Return the answers of ``BxNxC`` tokens.

        Args:
            tokens: What routers and adapters read, float32.
            routing: Task -> share of its routing; the gates are mixed.
        """
        flat = tokens.flatten(0, 1)
        gates, balance = flat.new_zeros(len(flat), len(self.experts)), flat.new_zeros(())
        for task, share in routing.items():
            index = TASKS.index(task)
            logits = flat @ self.choose[index]
            if self.lean is not None:
                logits = logits + self.lean[index]
            routed = self.gate(logits, flat @ self.noise[index])
            gates, balance = gates + share * routed.gates, balance + share * routed.balance
        answers = torch.stack([expert(flat) for expert in self.experts], 1)
        if self.combine == "linear":
            answer = (gates[..., None] * answers).sum(1)
        else:
            answer = torch.logsumexp(answers + gates.clamp_min(_LEAST).log()[..., None], 1)
        shape = tokens.shape[:2]
        return Mixed(answer.reshape(*shape, -1), gates.reshape(*shape, -1), balance)


class PlainAdapter(nn.Module):
    """A residual bottleneck beside a block, as of AdaptFormer (Chen et al. 2022).

    Args:
        width: Channels of the tokens.
        hidden: Channels inside.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.down = nn.Linear(width, hidden)
        self.up = nn.Linear(hidden, width)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return ``BxNxC`` of ``BxNxC``."""
        out: Tensor = tokens + self.up(F.relu(self.down(self.norm(tokens))))
        return out
