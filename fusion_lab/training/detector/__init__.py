"""Train the default detector, which takes the pictures of both cameras."""

from fusion_lab.training.detector.loop import (
    DetectorRecipe,
    DetectorTrainer,
    load_detector_recipe,
)
from fusion_lab.training.detector.plugin import PLUGIN
from fusion_lab.training.detector.pool import DetectionPool, load_pool

__all__ = [
    "PLUGIN",
    "DetectionPool",
    "DetectorRecipe",
    "DetectorTrainer",
    "load_detector_recipe",
    "load_pool",
]
