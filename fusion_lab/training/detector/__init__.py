"""Train the default detector, which looks at both modalities; never imported at run time."""

from fusion_lab.training.detector.loop import DetectorRecipe, DetectorTrainer
from fusion_lab.training.detector.pool import Pool, load_pool

__all__ = ["DetectorRecipe", "DetectorTrainer", "Pool", "load_pool"]
