"""The trainer ``restoring``."""

from __future__ import annotations

from fusion_core.priors import PriorsConfig, open_provider
from fusion_lab.data import read_examples
from fusion_lab.training.registry import TrainerPlugin, TrainingRequest
from fusion_lab.training.restoring.recipe import load_restoring_recipe
from fusion_lab.training.restoring.trainer import RestoringTrainer


def _start(request: TrainingRequest) -> RestoringTrainer:
    recipe = load_restoring_recipe(
        request.model,
        request.ablation,
        prior=request.prior,
        kinds=request.kind or None,
        **request.overrides(),
    )
    provider = None
    if recipe.prior != "none":
        provider = open_provider(recipe.prior, PriorsConfig(), request.place.device)
    examples = read_examples(request.data)
    return RestoringTrainer(recipe, examples, provider, request.place, resume=request.resume)


PLUGIN = TrainerPlugin(
    frozenset({"resume", "init", "ablation", "prior", "kind"}), _start, parallel=True
)
