"""Train the embedded prior provider on degraded pictures."""

from fusion_lab.training.priors.loop import PriorRecipe, PriorTraining
from fusion_lab.training.priors.plugin import PLUGIN

__all__ = ["PLUGIN", "PriorRecipe", "PriorTraining"]
