"""Train fusion networks, the detector and the provider of scene priors."""

from fusion_lab.training.loop import Place
from fusion_lab.training.registry import (
    TRAINERS,
    TrainerPlugin,
    TrainingRequest,
    TrainingRun,
    start_training,
)

__all__ = [
    "TRAINERS",
    "Place",
    "TrainerPlugin",
    "TrainingRequest",
    "TrainingRun",
    "start_training",
]
