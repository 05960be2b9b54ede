"""Train MMAIF: degraded sets of pictures, sentences about them, and what they ask for."""

from fusion_lab.training.wishing.plugin import PLUGIN
from fusion_lab.training.wishing.recipe import WishingRecipe, load_wishing_recipe
from fusion_lab.training.wishing.trainer import WishingTrainer

__all__ = ["PLUGIN", "WishingRecipe", "WishingTrainer", "load_wishing_recipe"]
