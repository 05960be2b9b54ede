"""Train what finds the person at a click."""

from fusion_lab.training.clicking.plugin import PLUGIN
from fusion_lab.training.clicking.trainer import ClickRecipe, ClickTrainer

__all__ = ["PLUGIN", "ClickRecipe", "ClickTrainer"]
