"""The trainer ``codec``."""

from __future__ import annotations

from fusion_lab.training.codec.recipe import CodecRecipe
from fusion_lab.training.codec.trainer import CodecTrainer
from fusion_lab.training.masked.pictures import find_pictures, rendered_pictures
from fusion_lab.training.recipe import read_recipe
from fusion_lab.training.registry import TrainerPlugin, TrainingRequest


def _start(request: TrainingRequest) -> CodecTrainer:
    given = request.overrides()
    source = given.pop("source")
    recipe = read_recipe(CodecRecipe, request.model, given, source=source)
    pictures = find_pictures(request.data) + rendered_pictures(recipe.worlds)
    return CodecTrainer(recipe, pictures, request.place, resume=request.resume)


PLUGIN = TrainerPlugin(frozenset({"resume", "init"}), _start)
