"""Train the networks that a mask steers: CtrlFuse."""

from fusion_lab.training.prompting.data import MaskedPair, load_masked
from fusion_lab.training.prompting.recipe import PromptRecipe, load_prompt_recipe
from fusion_lab.training.prompting.trainer import PromptTrainer

__all__ = ["MaskedPair", "PromptRecipe", "PromptTrainer", "load_masked", "load_prompt_recipe"]
