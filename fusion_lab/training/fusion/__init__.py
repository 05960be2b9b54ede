"""Train the networks that fuse with a memory bank: M2PN."""

from fusion_lab.training.fusion.plugin import PLUGIN
from fusion_lab.training.fusion.recipe import FusionRecipe, load_fusion_recipe
from fusion_lab.training.fusion.trainer import FusionTrainer

__all__ = ["PLUGIN", "FusionRecipe", "FusionTrainer", "load_fusion_recipe"]
