"""Fifteen ways in which a picture gets worse, seeded, labelled and coherent in time."""

from fusion_lab.training.degradations.compose import ORDER, Degraded, Degrader, sample_mixture
from fusion_lab.training.degradations.depth import DepthProvider, GroundDepth

__all__ = ["ORDER", "Degraded", "Degrader", "DepthProvider", "GroundDepth", "sample_mixture"]
