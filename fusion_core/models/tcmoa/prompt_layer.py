"""The layer between two blocks: prompts weigh both streams, which are then fused into each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from fusion_core.models.tcmoa.adapters import PlainAdapter, TaskAdapters
from fusion_core.models.tcmoa.config import TASKS

_EPS = 1e-5


@dataclass(frozen=True, slots=True)
class Edit:
    """How prompts are changed; see :class:`fusion_core.models.PromptEdit`.

    Attributes:
        alpha: Contrast, 1 changes nothing.
        beta: ``B`` shifts towards the first stream, 0 changes nothing.
    """

    alpha: float
    beta: Tensor


class Prompted(NamedTuple):
    """What a layer makes of both streams.

    Attributes:
        first: ``BxNxC`` tokens of the first stream.
        second: ``BxNxC`` tokens of the second one.
        prompts: ``BxNx2`` shares in (0, 1) of the first and the second source, as routed.
        gates: ``BxNxE`` of the adapters.
        balance: Loss that keeps the adapters in balance, a scalar.
    """

    first: Tensor
    second: Tensor
    prompts: Tensor
    gates: Tensor
    balance: Tensor


class PromptLayer(nn.Module):
    """Task-customised mixture of adapters and fusion layer (TC-MoA, eq. 2-7).

    Args:
        width: Channels C of the tokens.
        experts: Adapters.
        chosen: Adapters that work for one token.
        combine: How the adapters' answers are joined.
        keep_statistics: Give each stream back its mean and deviation over tokens and channels.
        clues: Channels of what is read beside the tokens; 0 for nothing.
    """

    def __init__(
        self,
        width: int,
        experts: int,
        chosen: int,
        combine: Literal["linear", "logsumexp"],
        *,
        keep_statistics: bool,
        clues: int = 0,
    ) -> None:
        super().__init__()
        quarter = width // 4
        self.keep_statistics = keep_statistics
        self.enter = nn.LayerNorm(2 * width)
        self.reduce = nn.Linear(2 * width, quarter, bias=False)
        self.look = nn.Linear(clues, quarter, bias=False) if clues else None
        if self.look is not None:
            nn.init.zeros_(self.look.weight)  # before training, the layer is the paper's
        self.norm = nn.LayerNorm(quarter)
        self.adapters = TaskAdapters(
            quarter, max(1, width // 32), quarter, experts, chosen, combine=combine
        )
        self.sources = nn.Parameter(torch.randn(len(TASKS), 2, width) * 0.02)
        self.fuse = nn.Sequential(
            nn.Conv2d(width, quarter, 1, bias=False),
            nn.Conv2d(quarter, quarter, 3, padding=1, bias=False),
            nn.Conv2d(quarter, width, 1, bias=False),
        )
        self.own = nn.Parameter(torch.tensor(0.5))

    def forward(
        self,
        first: Tensor,
        second: Tensor,
        grid: tuple[int, int],
        routing: Mapping[str, float],
        edit: Edit | None,
        *,
        seen: Tensor | None = None,
    ) -> Prompted:
        """Return both streams, each with what is fused in it.

        Args:
            first: ``BxNxC`` tokens of the first source.
            second: ``BxNxC`` tokens of the second one.
            grid: Rows and columns of the tokens.
            routing: Task -> share of its routing.
            edit: Change of the prompts, or None.
            seen: ``BxNxclues`` of a layer that reads some.
        """
        # Routers choose in float32: half precision would turn near ties around.
        with torch.autocast(first.device.type, enabled=False):
            joined = torch.cat((first, second), -1).float()
            read = self.reduce(self.enter(joined))
            if self.look is not None and seen is not None:
                read = read + self.look(seen)
            read = self.norm(read)
            mixed = self.adapters(read, routing)
        prompts = mixed.answer.unflatten(-1, (2, -1)).mean(-1).sigmoid()
        weights = prompts if edit is None else edited(prompts, edit)
        shares = torch.tensor(
            [routing.get(task, 0.0) for task in TASKS], device=first.device, dtype=first.dtype
        )
        sources = torch.einsum("t,tsc->sc", shares, self.sources.to(first.dtype))
        weights = weights.to(first.dtype)
        weighed = weights[..., :1] * first + weights[..., 1:] * second + sources.sum(0)
        fused = self.fuse(weighed.transpose(1, 2).unflatten(2, grid)).flatten(2).transpose(1, 2)
        streams = [torch.lerp(fused, own, self.own.to(own.dtype)) for own in (first, second)]
        if self.keep_statistics:
            streams = [_like(new, own) for new, own in zip(streams, (first, second), strict=True)]
        return Prompted(streams[0], streams[1], prompts, mixed.gates, mixed.balance)


class PlainLayer(nn.Module):
    """What stands in for a prompt layer where adapters are to be plain.

    Args:
        width: Channels C of the tokens.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.adapter = PlainAdapter(width, max(1, width // 8))

    def forward(
        self,
        first: Tensor,
        second: Tensor,
        grid: tuple[int, int],  # noqa: ARG002
        routing: Mapping[str, float],  # noqa: ARG002
        edit: Edit | None,  # noqa: ARG002
        *,
        seen: Tensor | None,  # noqa: ARG002
    ) -> Prompted:
        """Return both streams; prompts are even, and no adapter is chosen."""
        prompts = first.new_full((*first.shape[:2], 2), 0.5)
        return Prompted(
            self.adapter(first),
            self.adapter(second),
            prompts,
            first.new_zeros(*first.shape[:2], 0),
            first.new_zeros(()),
        )


def edited(prompts: Tensor, edit: Edit) -> Tensor:
    """Return changed prompts ``BxNx2`` (TC-MoA, eq. 8)."""
    sign = torch.tensor([1.0, -1.0], device=prompts.device, dtype=prompts.dtype)
    shift = edit.beta[:, None, None].to(prompts) * sign
    return 0.5 + edit.alpha * (prompts - 0.5) + shift


def _like(tokens: Tensor, own: Tensor) -> Tensor:
    """Return tokens with the mean and deviation of others, over tokens and channels."""
    mean, deviation = tokens.mean((1, 2), keepdim=True), tokens.std((1, 2), keepdim=True)
    own_mean, own_deviation = own.mean((1, 2), keepdim=True), own.std((1, 2), keepdim=True)
    return (tokens - mean) / (deviation + _EPS) * own_deviation + own_mean
