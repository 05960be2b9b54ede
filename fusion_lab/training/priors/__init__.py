"""Train the embedded prior provider on degraded pictures."""

from fusion_lab.training.priors.loop import PriorRecipe, PriorTraining
from fusion_lab.training.priors.plugin import HEADS_PLUGIN, PLUGIN

__all__ = ["HEADS_PLUGIN", "PLUGIN", "PriorRecipe", "PriorTraining"]
