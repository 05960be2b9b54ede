"""The part of a training run that all fusion networks share beyond the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import Field

from fusion_core.models import Fuser, load_weights, save_weights
from fusion_lab.training.loop import Schedule, Trainer, cosine_rate


@dataclass(frozen=True, kw_only=True)
class FuserSchedule(Schedule):
    """Settings that the recipes of all fusion networks have.

    Attributes:
        model: Network to train.
        init: Weights file to start from; empty starts from random weights.
        final_rate: End of the cosine.
    """

    model: str
    init: str = ""
    final_rate: Annotated[float, Field(gt=0)] = 1e-6


RecipeT = TypeVar("RecipeT", bound=FuserSchedule)
FuserT = TypeVar("FuserT", bound=Fuser)


class FuserTrainer(Trainer[RecipeT, FuserT]):
    """A run under a cosine, from random or given weights, that leaves weights to load."""

    def _rate(self, step: int) -> float:
        r = self.recipe
        return cosine_rate(
            step, steps=r.steps, peak=r.learning_rate, final=r.final_rate, warmup=r.warmup
        )

    def _begin(self) -> None:
        if self.recipe.init:
            load_weights(self.model, self.recipe.init)

    def _write(self, scalars: Mapping[str, Any]) -> None:
        save_weights(self.average, self.place.out / "weights.safetensors", scalars)
