"""The trainers ``prior`` and ``prior-heads``."""

from __future__ import annotations

from fusion_lab.training.priors.bases import load_bases
from fusion_lab.training.priors.head_training import HeadsTraining
from fusion_lab.training.priors.heads import HeadsRecipe
from fusion_lab.training.priors.loop import PriorRecipe, PriorTraining
from fusion_lab.training.recipe import read_recipe
from fusion_lab.training.registry import TrainerPlugin, TrainingRequest


def _start(request: TrainingRequest) -> PriorTraining:
    changes = {"steps": request.steps}
    recipe = read_recipe(PriorRecipe, request.model, changes, source=request.recipe)
    place = request.place
    return PriorTraining(recipe, load_bases(request.data), place.out, place.seed, place.team)


def _start_heads(request: TrainingRequest) -> HeadsTraining:
    changes = {"steps": request.steps}
    recipe = read_recipe(HeadsRecipe, request.model, changes, source=request.recipe)
    place = request.place
    return HeadsTraining(recipe, request.data, place.out, place.seed, request.init)


PLUGIN = TrainerPlugin(frozenset(), _start, parallel=True)
HEADS_PLUGIN = TrainerPlugin(frozenset({"init"}), _start_heads)
