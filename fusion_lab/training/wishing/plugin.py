"""The trainer ``wishing``."""

from __future__ import annotations

from fusion_core.errors import UsageError
from fusion_lab.data import Example, read_examples
from fusion_lab.data.making import SharpPicture, read_sharp_pictures
from fusion_lab.training.registry import TrainerPlugin, TrainingRequest
from fusion_lab.training.wishing.diagnosing import DiagnosisTrainer
from fusion_lab.training.wishing.recipe import load_wishing_recipe
from fusion_lab.training.wishing.trainer import WishingTrainer


def _start(request: TrainingRequest) -> WishingTrainer:
    recipe = load_wishing_recipe(request.model, request.ablation, **request.overrides())
    if len(request.data) != 1:
        raise UsageError(
            f"--data {' '.join(map(str, request.data))}: the recipe names the folders; give the "
            "one folder that holds them"
        )
    root = request.data[0]
    pairs = read_examples([root / folder for folder in recipe.pairs])
    sharp = read_sharp_pictures([root / folder for folder in recipe.sharp])
    trainer = DiagnosisTrainer if recipe.part == "diagnosis" else WishingTrainer
    return trainer(
        recipe,
        pairs,
        [_as_example(picture) for picture in sharp],
        request.place,
        resume=request.resume,
    )


def _as_example(picture: SharpPicture) -> Example:
    return Example(
        first=picture.image,
        second=picture.image[..., 0],
        target=None,
        task="vif",
        text="",
        mask=None,
        labels=None,
        folder=picture.folder,
        name=picture.name,
        scene=picture.scene,
    )


PLUGIN = TrainerPlugin(frozenset({"resume", "init", "ablation"}), _start)
