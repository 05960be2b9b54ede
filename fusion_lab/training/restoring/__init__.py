"""Train networks that restore degraded pictures, fusing them or alone."""

from fusion_lab.training.restoring.pictures import load_pictures
from fusion_lab.training.restoring.recipe import RestoringRecipe, load_restoring_recipe
from fusion_lab.training.restoring.trainer import RestoringTrainer

__all__ = ["RestoringRecipe", "RestoringTrainer", "load_pictures", "load_restoring_recipe"]
