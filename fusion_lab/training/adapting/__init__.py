"""Train the adapters of TC-MoA: several tasks in turn, on a frozen masked autoencoder."""

from fusion_lab.training.adapting.plugin import PLUGIN
from fusion_lab.training.adapting.recipe import AdaptingRecipe, load_adapting_recipe
from fusion_lab.training.adapting.trainer import AdaptingTrainer

__all__ = ["PLUGIN", "AdaptingRecipe", "AdaptingTrainer", "load_adapting_recipe"]
