"""The trainer ``clicking``."""

from __future__ import annotations

from fusion_lab.data import Needs, read_examples
from fusion_lab.training.clicking.trainer import ClickRecipe, ClickTrainer
from fusion_lab.training.recipe import read_recipe
from fusion_lab.training.registry import TrainerPlugin, TrainingRequest


def _start(request: TrainingRequest) -> ClickTrainer:
    changes = {"steps": request.steps}
    recipe = read_recipe(ClickRecipe, request.model, changes, source=request.recipe)
    examples = read_examples(request.data, needs=Needs(labels=True, mask=True))
    return ClickTrainer(recipe, examples, request.place, resume=request.resume)


PLUGIN = TrainerPlugin(frozenset({"resume"}), _start)
