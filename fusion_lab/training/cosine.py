"""A run whose learning rate warms up linearly and falls along a cosine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import Field
from torch import nn

from fusion_lab.training.loop import Schedule, Trainer


@dataclass(frozen=True, kw_only=True)
class CosineSchedule(Schedule):
    """Settings of such a run.

    Attributes:
        final_rate: End of the cosine.
    """

    final_rate: Annotated[float, Field(gt=0)] = 1e-6


RecipeT = TypeVar("RecipeT", bound=CosineSchedule)
NetworkT = TypeVar("NetworkT", bound=nn.Module)


class CosineTrainer(Trainer[RecipeT, NetworkT]):
    """A run under one cosine from its first step to its last."""

    def _rate(self, step: int) -> float:
        r = self.recipe
        return cosine_rate(
            step, steps=r.steps, peak=r.learning_rate, final=r.final_rate, warmup=r.warmup
        )


def cosine_rate(step: int, *, steps: int, peak: float, final: float, warmup: int) -> float:
    """Return the rate of a step (from 0): linear warm-up, then a cosine to the final rate."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return final + (peak - final) / 2 * (1 + math.cos(math.pi * progress))
