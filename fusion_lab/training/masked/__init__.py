"""Pre-train a masked autoencoder on any pictures."""

from fusion_lab.training.masked.plugin import PLUGIN
from fusion_lab.training.masked.recipe import MaskedRecipe
from fusion_lab.training.masked.trainer import MaskedTrainer

__all__ = ["PLUGIN", "MaskedRecipe", "MaskedTrainer"]
