"""Train the embedded text encoder to recover wishes from sentences."""

from fusion_lab.training.text.plugin import PLUGIN
from fusion_lab.training.text.recipe import TextRecipe
from fusion_lab.training.text.trainer import TextTrainer

__all__ = ["PLUGIN", "TextRecipe", "TextTrainer"]
