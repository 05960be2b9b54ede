"""The trainer ``fusion``."""

from __future__ import annotations

from fusion_lab.data import Needs
from fusion_lab.training.fusion.recipe import load_fusion_recipe
from fusion_lab.training.fusion.trainer import FusionTrainer
from fusion_lab.training.registry import TrainerPlugin, TrainingRequest
from fusion_lab.training.tasks import read_tasks


def _start(request: TrainingRequest) -> FusionTrainer:
    recipe = load_fusion_recipe(request.model, request.ablation, **request.overrides())
    folders = {task: entry.data for task, entry in recipe.tasks.items()}
    examples = read_tasks(folders, request.data, Needs(luma=True))
    return FusionTrainer(recipe, examples, request.place, resume=request.resume)


PLUGIN = TrainerPlugin(frozenset({"resume", "init", "ablation", "compile"}), _start, parallel=True)
