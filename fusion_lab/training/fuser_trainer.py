"""The part of a training run that all fusion networks share beyond the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from fusion_core.models import Fuser, load_weights, save_weights
from fusion_lab.training.cosine import CosineSchedule, CosineTrainer


@dataclass(frozen=True, kw_only=True)
class FuserSchedule(CosineSchedule):
    """Settings that the recipes of all fusion networks have.

    Attributes:
        model: Network to train.
        init: Weights file to start from; empty starts from random weights.
    """

    model: str
    init: str = ""


RecipeT = TypeVar("RecipeT", bound=FuserSchedule)
FuserT = TypeVar("FuserT", bound=Fuser)


class FuserTrainer(CosineTrainer[RecipeT, FuserT]):
    """A run under a cosine, from random or given weights, that leaves weights to load."""

    def _begin(self) -> None:
        if self.recipe.init:
            load_weights(self.model, self.recipe.init)

    def _write(self, scalars: Mapping[str, Any]) -> None:
        save_weights(self.average, self.place.out / "weights.safetensors", scalars)
