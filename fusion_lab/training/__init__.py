"""Train fusion networks from scratch; never imported at run time."""

from fusion_lab.training.dataset import load_pairs
from fusion_lab.training.fusing import FusionTrainer
from fusion_lab.training.loop import Place
from fusion_lab.training.recipe import Recipe, load_recipe

__all__ = ["FusionTrainer", "Place", "Recipe", "load_pairs", "load_recipe"]
