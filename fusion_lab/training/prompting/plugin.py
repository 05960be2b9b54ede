"""The trainer ``prompting``."""

from __future__ import annotations

from fusion_lab.data import Needs, read_examples
from fusion_lab.training.prompting.recipe import load_prompt_recipe
from fusion_lab.training.prompting.trainer import PromptTrainer
from fusion_lab.training.registry import TrainerPlugin, TrainingRequest


def _start(request: TrainingRequest) -> PromptTrainer:
    recipe = load_prompt_recipe(request.model, request.ablation, **request.overrides())
    examples = read_examples(request.data, needs=Needs(labels=True, mask=True))
    return PromptTrainer(recipe, examples, request.place, resume=request.resume)


PLUGIN = TrainerPlugin(frozenset({"resume", "init", "ablation", "compile"}), _start, parallel=True)
