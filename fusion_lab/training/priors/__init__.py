"""Train the embedded prior provider on degraded pictures."""

from fusion_lab.training.priors.loop import PriorRecipe, train_prior

__all__ = ["PriorRecipe", "train_prior"]
