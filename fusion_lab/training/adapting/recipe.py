"""Recipes of TC-MoA's adapters, as checked data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated

from pydantic import ConfigDict, Field

from fusion_core.errors import UsageError
from fusion_lab.data import FusionTask
from fusion_lab.training.adapting.objective import TaskLoss
from fusion_lab.training.fuser_trainer import FuserSchedule
from fusion_lab.training.recipe import read_recipe


@dataclass(frozen=True)
class TaskRecipe:
    """One task of a run.

    Attributes:
        data: Folders of pairs below the one folder of data.
        sharp: Folders of single sharp pictures there, of which pairs with a target are made.
        made: How many of them.
        made_share: Share of the task's steps that see made pairs.
        loss: Weights of the objective.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    data: tuple[str, ...] = ()
    sharp: tuple[str, ...] = ()
    made: Annotated[int, Field(ge=0)] = 0
    made_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    loss: TaskLoss = field(default_factory=TaskLoss)


@dataclass(frozen=True, kw_only=True)
class AdaptingRecipe(FuserSchedule):
    """One training run; each step takes the next task.

    Attributes:
        tasks: Task -> its data and objective, in the order of their turns.
        batch: Crops per step.
        crop: Edge of a crop in pixels.
        scale: Smallest and largest edge of a crop before resizing, in units of its final edge.
        balance: Weight of the balance of adapters, summed over layers, in the first epoch; in the
            ``n``-th it is an ``n``-th of that.
        epoch: Steps of an epoch.
        settle: Steps in which the mean of the sources is the target of all tasks, the sharper
            patches for ``mff``.
        network: Fields of the network's configuration that differ, for ablations.
        mae: Weights of the frozen masked autoencoder; empty: the model's own.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    tasks: dict[FusionTask, TaskRecipe]
    batch: Annotated[int, Field(ge=1)] = 4
    crop: Annotated[int, Field(ge=32)] = 160
    scale: tuple[float, float] = (0.8, 3.0)
    balance: Annotated[float, Field(ge=0)] = 1e-3
    epoch: Annotated[int, Field(ge=1)] = 300
    settle: Annotated[int, Field(ge=0)] = 0
    network: dict[str, int | bool | str] = field(default_factory=dict)
    mae: str = ""


ABLATIONS: Mapping[str, Mapping[str, int | bool | str]] = {
    "": {},
    "one-adapter": {"experts": 1, "chosen": 1},
    "two-adapters": {"experts": 2},
    "six-adapters": {"experts": 6},
    "every-two": {"every": 2},
    "every-eight": {"every": 8},
    "plain-adapters": {"adapter": "plain"},
    "decoder": {"result": "decoder"},
}
"""Parts of TC-MoA that can be taken out or varied: fields of its configuration."""
SINGLE = "only-"
"""Before a task's name: an ablation that trains this task alone."""


def load_adapting_recipe(
    model: str, ablation: str = "", *, source: str = "", **overrides: object
) -> AdaptingRecipe:
    """Read the recipe that ships for a TC-MoA network, or another one.

    Args:
        model: ``tcmoa``, ``tcmoa-base`` or ``tcmoa-large``.
        ablation: One of ``ABLATIONS``, or ``only-TASK``; empty is the full system.
        source: See :func:`fusion_lab.training.recipe.read_recipe`.
        overrides: Top-level values that win over the file's; None means not given.

    Raises:
        UsageError: No such ablation or recipe.
        ConfigError: The recipe or an override is malformed or out of range.
    """
    alone = ablation.removeprefix(SINGLE)
    single = ablation.startswith(SINGLE)
    if not single and ablation not in ABLATIONS:
        known = ", ".join([*list(ABLATIONS)[1:], f"{SINGLE}TASK"])
        raise UsageError(f"ablation {ablation!r}: unknown; known ablations of TC-MoA: {known}")
    changes = overrides if single else {"network": dict(ABLATIONS[ablation]), **overrides}
    recipe = read_recipe(AdaptingRecipe, model, changes, source=source)
    if not single:
        return recipe
    if alone not in recipe.tasks:
        known = ", ".join(f"{SINGLE}{task}" for task in recipe.tasks)
        raise UsageError(f"ablation {ablation!r}: the recipe has no such task; known: {known}")
    return replace(recipe, tasks={alone: recipe.tasks[alone]})
