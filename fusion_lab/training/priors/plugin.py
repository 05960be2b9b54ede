"""The trainer ``prior``."""

from __future__ import annotations

from fusion_lab.training.priors.bases import load_bases
from fusion_lab.training.priors.loop import PriorRecipe, PriorTraining
from fusion_lab.training.recipe import read_recipe
from fusion_lab.training.registry import TrainerPlugin, TrainingRequest


def _start(request: TrainingRequest) -> PriorTraining:
    changes = {"steps": request.steps}
    recipe = read_recipe(PriorRecipe, request.model, changes, source=request.recipe)
    place = request.place
    return PriorTraining(recipe, load_bases(request.data), place.out, place.seed, place.team)


PLUGIN = TrainerPlugin(frozenset(), _start, parallel=True)
