"""Latents of several pictures and a text, to the latent of the fused picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.models.blocks.padding import PadToMultiple
from fusion_core.models.mmaif.block import Block, Condition
from fusion_core.models.mmaif.config import TASKS, MMAIFConfig
from fusion_core.models.mmaif.experts import Chosen
from fusion_core.models.mmaif.measuring import EVIDENCE

_TIMES = 64  # channels of a time's sines
_SLOWEST = 1e4


class Asked(NamedTuple):
    """What is wanted of ``B`` sets of pictures.

    Attributes:
        task: One of ``TASKS``.
        text: ``BxLxT`` tokens of the text, of which the first stands for all.
        weight: ``BxL`` in [0, 1], how much each of them is there.
        said: ``B``, 1 where somebody said something, 0 where the text is what stands for nothing.
    """

    task: str
    text: Tensor
    weight: Tensor
    said: Tensor


class Latent(NamedTuple):
    """What the transformer makes of ``B`` sets.

    Attributes:
        made: ``BxCxhxw``: the fused latent, or, of a flow, its velocity.
        hidden: ``BxDxh/pxw/p`` tokens behind the last block.
        chosen: Who worked, per block.
    """

    made: Tensor
    hidden: Tensor
    chosen: list[Chosen]


class LatentTransformer(nn.Module):
    """Transformer over the tokens of a set of latents (MMAIF, section 2).

    Every picture's latent is embedded with its role; mean and largest of the set make the tokens,
    so that any number of pictures can come. The last layer starts at zero: untrained, a regression
    gives the mean of the latents.

    Args:
        config: Architecture.
    """

    def __init__(self, config: MMAIFConfig) -> None:
        super().__init__()
        c = self.config = config
        width, values = c.width, c.channels * c.patch**2
        self.pad = PadToMultiple(c.patch)
        self.embed = nn.Conv2d(c.channels, width, c.patch, c.patch)
        self.roles = nn.Parameter(0.02 * torch.randn(len(TASKS), 2, width))
        self.measures = nn.ModuleList(nn.Linear(EVIDENCE, width) for _ in range(2))
        self.join = nn.Linear(2 * width, width)
        self.noisy = nn.Conv2d(c.channels, width, c.patch, c.patch) if _flows(c) else None
        self.time = nn.Sequential(nn.Linear(_TIMES, width), nn.SiLU(), nn.Linear(width, width))
        self.tasks = nn.Parameter(0.02 * torch.randn(len(TASKS), width))
        self.wish = nn.Sequential(nn.Linear(c.text, width), nn.SiLU(), nn.Linear(width, width))
        self.shared = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.blocks = nn.ModuleList(Block(c, first=index == 0) for index in range(c.depth))
        self.norm = nn.LayerNorm(width)
        self.last = nn.Linear(width, 2 * width)
        self.head = nn.Linear(width, values)
        for layer in (self.last, self.head, *self.measures):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        _start(self.shared[-1], width)
        if not _flows(c):
            del self.time

    def forward(
        self,
        latents: Sequence[Tensor],
        evidence: Sequence[Tensor],
        asked: Asked,
        noisy: Tensor | None = None,
        time: Tensor | None = None,
    ) -> Latent:
        """Return the latent of the fused picture.

        Args:
            latents: ``BxCxhxw`` of two or more pictures.
            evidence: ``BxEVIDENCExh'xw'`` of each of them, of the same view.
            asked: What is wanted.
            noisy: ``BxCxhxw`` on the way from noise to the result, for a flow.
            time: ``B`` in [0, 1], 1 is noise, for a flow.
        """
        height, width = latents[0].shape[-2:]
        padded = [self.pad(latent) for latent in latents]
        grid = padded[0].shape[-2] // self.config.patch, padded[0].shape[-1] // self.config.patch
        x = self._tokens(
            padded, [F.adaptive_avg_pool2d(part, grid) for part in evidence], asked.task
        )
        vector = self.condition(asked)
        if self.noisy is not None:
            assert noisy is not None, "a flow starts from noise"
            assert time is not None, "a flow has a time"
            x = x + self.noisy(self.pad(noisy)).flatten(2).transpose(1, 2)
            vector = vector + self.time(_sines(time))
        told = Condition(vector, self.shared(vector), asked.text, asked.weight)
        former, chosen = None, []
        for block in self.blocks:
            x, former, who = block(x, grid, told, former)
            chosen.append(who)
        shift, scale = self.last(F.silu(vector))[:, None].chunk(2, -1)
        x = self.norm(x) * (1 + scale) + shift
        values = self.head(x).transpose(1, 2).unflatten(2, grid)
        made = F.pixel_shuffle(values, self.config.patch)[..., :height, :width]
        if self.noisy is None:
            made = made + torch.stack(list(latents)).mean(0)
        return Latent(made, x.transpose(1, 2).unflatten(2, grid), chosen)

    def condition(self, asked: Asked) -> Tensor:
        """Return the vector ``BxD`` of what is wanted."""
        found: Tensor = self.wish(asked.text[:, 0]) + self.tasks[TASKS.index(asked.task)]
        return found

    def _tokens(self, latents: Sequence[Tensor], evidence: Sequence[Tensor], task: str) -> Tensor:
        """Return ``BxNxD`` tokens of the set; the first picture and the others have own roles."""
        roles = self.roles[TASKS.index(task)]
        embedded = torch.stack(
            [
                self.embed(latent).flatten(2).transpose(1, 2)
                + self.measures[min(number, 1)](measured.flatten(2).transpose(1, 2))
                + roles[min(number, 1)]
                for number, (latent, measured) in enumerate(zip(latents, evidence, strict=True))
            ]
        )
        joined: Tensor = self.join(torch.cat((embedded.mean(0), embedded.amax(0)), -1))
        return joined


def _flows(config: MMAIFConfig) -> bool:
    return config.objective == "flow"


@torch.no_grad()
def _start(layer: nn.Module, width: int) -> None:
    """Let the modulation neither shift nor scale, and all branches in, at first."""
    assert isinstance(layer, nn.Linear)
    layer.weight.zero_()
    layer.bias.zero_()
    for gate in (2, 5):
        layer.bias[gate * width : (gate + 1) * width] = 1


def _sines(time: Tensor) -> Tensor:
    """Return ``B x 64`` sines and cosines of times in [0, 1]."""
    half = _TIMES // 2
    rates = torch.exp(-math.log(_SLOWEST) * torch.arange(half, device=time.device) / half)
    angles = 1000 * time.float()[:, None] * rates
    return torch.cat((angles.sin(), angles.cos()), -1)
