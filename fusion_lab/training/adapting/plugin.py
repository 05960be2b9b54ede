"""The trainer ``adapting``."""

from __future__ import annotations

from pathlib import Path

from fusion_core.errors import UsageError
from fusion_lab.data import Example, FusionTask, read_examples
from fusion_lab.data.making import MadeExamples, read_sharp_pictures
from fusion_lab.training.adapting.recipe import AdaptingRecipe, load_adapting_recipe
from fusion_lab.training.adapting.trainer import AdaptingTrainer
from fusion_lab.training.registry import TrainerPlugin, TrainingRequest


def _start(request: TrainingRequest) -> AdaptingTrainer:
    recipe = load_adapting_recipe(request.model, request.ablation, **request.overrides())
    if len(request.data) != 1:
        raise UsageError(
            f"--data {' '.join(map(str, request.data))}: the recipe names the folders of its "
            "tasks; give the one folder that holds them"
        )
    root, seed = request.data[0], request.place.seed
    examples = {
        task: read_examples([root / folder for folder in part.data], task)
        for task, part in recipe.tasks.items()
        if part.data
    }
    made = _make(recipe, root, seed)
    return AdaptingTrainer(recipe, examples, made, request.place, resume=request.resume)


def _make(recipe: AdaptingRecipe, root: Path, seed: int) -> dict[FusionTask, list[Example]]:
    """Return pairs with targets for the tasks that want some."""
    return {
        task: list(
            MadeExamples(
                read_sharp_pictures([root / folder for folder in part.sharp]),
                task,
                seed,
                part.made,
            )
        )
        for task, part in recipe.tasks.items()
        if part.made
    }


PLUGIN = TrainerPlugin(frozenset({"resume", "init", "ablation"}), _start)
