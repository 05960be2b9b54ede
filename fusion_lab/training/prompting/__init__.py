"""Train the networks that take a mask: CtrlFuse."""

from fusion_lab.training.prompting.plugin import PLUGIN
from fusion_lab.training.prompting.recipe import PromptRecipe, load_prompt_recipe
from fusion_lab.training.prompting.trainer import PromptTrainer

__all__ = ["PLUGIN", "PromptRecipe", "PromptTrainer", "load_prompt_recipe"]
