"""The trainer ``detector``."""

from __future__ import annotations

from fusion_core.errors import UsageError
from fusion_lab.training.detector.loop import DetectorTrainer, load_detector_recipe
from fusion_lab.training.detector.pool import load_pool
from fusion_lab.training.registry import TrainerPlugin, TrainingRequest


def _start(request: TrainingRequest) -> DetectorTrainer:
    if request.init and not request.init.is_file():
        raise UsageError(
            f"--init {request.init}: no such file; give yolox_nano.onnx of the YOLOX releases, a "
            "pair-nano.onnx, or leave it out to start from random weights"
        )
    recipe = load_detector_recipe(request.model, **request.overrides())
    pool = load_pool(request.data, request.place, recipe.rendered_seeds, recipe.rendered_aerial)
    return DetectorTrainer(recipe, pool, request.place, resume=request.resume)


PLUGIN = TrainerPlugin(frozenset({"resume", "init", "compile"}), _start, parallel=True)
