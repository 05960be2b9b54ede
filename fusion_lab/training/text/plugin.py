"""The trainer ``text``."""

from __future__ import annotations

from fusion_lab.training.recipe import read_recipe
from fusion_lab.training.registry import TrainerPlugin, TrainingRequest
from fusion_lab.training.text.recipe import TextRecipe
from fusion_lab.training.text.trainer import TextTrainer


def _start(request: TrainingRequest) -> TextTrainer:
    given = request.overrides()
    source = given.pop("source")
    recipe = read_recipe(TextRecipe, request.model, given, source=source)
    return TextTrainer(recipe, request.place, resume=request.resume)


PLUGIN = TrainerPlugin(frozenset({"resume", "init"}), _start, needs_data=False)
