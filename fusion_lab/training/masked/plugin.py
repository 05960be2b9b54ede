"""The trainer ``masked``."""

from __future__ import annotations

from fusion_lab.training.masked.pictures import find_pictures, rendered_pictures
from fusion_lab.training.masked.recipe import MaskedRecipe
from fusion_lab.training.masked.trainer import MaskedTrainer
from fusion_lab.training.recipe import read_recipe
from fusion_lab.training.registry import TrainerPlugin, TrainingRequest


def _start(request: TrainingRequest) -> MaskedTrainer:
    given = request.overrides()
    source = given.pop("source")
    recipe = read_recipe(MaskedRecipe, request.model, given, source=source)
    pictures = find_pictures(request.data) + rendered_pictures(recipe.worlds)
    return MaskedTrainer(recipe, pictures, request.place, resume=request.resume)


PLUGIN = TrainerPlugin(frozenset({"resume", "init"}), _start)
