"""Recipes of networks that fuse with a memory bank."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from pydantic import ConfigDict, Field

from fusion_lab.data import FusionTask
from fusion_lab.training.augment import Augmentation
from fusion_lab.training.fuser_trainer import FuserSchedule
from fusion_lab.training.fusion.ablation import find_ablation
from fusion_lab.training.fusion.judges import JudgeName
from fusion_lab.training.objective import LossWeights
from fusion_lab.training.recipe import read_recipe


@dataclass(frozen=True)
class TaskData:
    """What a run learns one task from.

    Attributes:
        data: Folders of the task, below the one folder of data that the run is given.
        loss: Weights of the objective for this task; None: those of the recipe.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    data: tuple[str, ...]
    loss: LossWeights | None = None


@dataclass(frozen=True, kw_only=True)
class FusionRecipe(FuserSchedule):
    """One training run of M2PN.

    With several tasks every step learns one of them, in turn, in the order of the recipe.

    Attributes:
        ablation: Part that is taken out; empty is the full system.
        tasks: What every task is learned from; empty: visible and infrared fusion, from all
            folders that the run is given.
        quality_score: What scores the fused crops for the memory: ``handcrafted``, ``clip`` (the
            paper's) or ``discriminator``.
        quality_weights: Folder or hub name of the weights for ``clip``; empty: the default.
        teacher: Trained network, or file of weights, whose pictures ``loss.distilled`` asks for;
            empty: none.
        learns: Parts of the network that learn, by their names; empty: all.
        batch: Crops per step.
        crop: Edge of a crop in pixels.
        momentum: Share of a good scene vector in its memory slot's update.
        kappa: Good means: score above mean + kappa * std of the last scores.
        replace_after: An accepted vector takes the slot unused for this many queries.
        loss: Weights of the objective.
        augmentation: Ranges of the changes to crops.
    """

    batch: Annotated[int, Field(ge=1)] = 16
    crop: Annotated[int, Field(ge=16)] = 128
    momentum: Annotated[float, Field(ge=0, le=1)] = 0.1
    kappa: float = 0.5
    replace_after: Annotated[int, Field(ge=1)] = 4000
    ablation: str = ""
    teacher: str = ""
    learns: tuple[str, ...] = ()
    tasks: dict[FusionTask, TaskData] = field(default_factory=dict)
    quality_score: JudgeName = "handcrafted"
    quality_weights: str = ""
    loss: LossWeights = field(default_factory=LossWeights)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def loss_of(self, task: FusionTask) -> LossWeights:
        """Return the weights of the objective for a task."""
        own = self.tasks[task].loss if task in self.tasks else None
        return self.loss if own is None else own


def load_fusion_recipe(
    model: str, ablation: str = "", *, source: str = "", **overrides: object
) -> FusionRecipe:
    """Read the recipe that ships for a model, or another one.

    Args:
        model: Name of the model.
        ablation: One of ``ABLATIONS``; empty is the full system.
        source: See :func:`read_recipe`.
        overrides: Top-level values that win over the file's; None means not given.

    Raises:
        UsageError: There is no such recipe, or no such ablation.
        ConfigError: The recipe or an override is malformed or out of range.
    """
    change = find_ablation(ablation)
    changes = {"ablation": ablation, **change.recipe, **overrides}
    return read_recipe(FusionRecipe, model, changes, {"loss": change.loss}, source)
