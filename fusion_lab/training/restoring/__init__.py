"""Train networks that restore degraded pictures, fusing them or alone."""

from fusion_lab.training.restoring.plugin import PLUGIN
from fusion_lab.training.restoring.recipe import RestoringRecipe, load_restoring_recipe
from fusion_lab.training.restoring.trainer import RestoringTrainer

__all__ = ["PLUGIN", "RestoringRecipe", "RestoringTrainer", "load_restoring_recipe"]
