"""Train the decoder of the embedded codec on pictures of robots."""

from fusion_lab.training.codec.plugin import PLUGIN
from fusion_lab.training.codec.recipe import CodecRecipe
from fusion_lab.training.codec.trainer import CodecTrainer

__all__ = ["PLUGIN", "CodecRecipe", "CodecTrainer"]
