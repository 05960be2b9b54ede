"""Train fusion networks from scratch; never imported at run time."""

from fusion_core.training.dataset import load_pairs
from fusion_core.training.loop import Place, Trainer
from fusion_core.training.precision import fast_precision
from fusion_core.training.recipe import Recipe, load_recipe

__all__ = ["Place", "Recipe", "Trainer", "fast_precision", "load_pairs", "load_recipe"]
