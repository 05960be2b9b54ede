"""Training of TC-MoA's adapters: one step per task in turn."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from fusion_core.errors import UsageError
from fusion_core.models import Cues, create_model
from fusion_core.models.tcmoa import TCMoA, TCMoAConfig
from fusion_core.types import UInt8Image
from fusion_lab.data import Example, FusionTask, split_by_scene
from fusion_lab.training.adapting.batches import (
    TaskBatch,
    example_planes,
    make_task_batch,
    whole_batch,
)
from fusion_lab.training.adapting.objective import TaskLoss, task_objective
from fusion_lab.training.adapting.recipe import AdaptingRecipe
from fusion_lab.training.fuser_trainer import FuserTrainer
from fusion_lab.training.loop import Place
from fusion_lab.training.shared_init import share_initial_tensors
from fusion_lab.training.sheet import write_sheet
from fusion_lab.training.tasks import TaskRotation

_VALIDATED: Final = 3  # held-out pairs of each task
# Objective of the first steps, as in the public code.
_SETTLING: Final = TaskLoss(mean=1.0, ssim=1.0, prompts=20.0)
_SETTLING_FOCUS: Final = TaskLoss(selected=1.0, target=1.0, target_ssim=1.0, prompts=20.0)


class AdaptingTrainer(FuserTrainer[AdaptingRecipe, TCMoA]):
    """One run.

    Args:
        recipe: What to do.
        examples: Task -> recorded pairs; some are held out.
        made: Task -> pairs with a target.
        place: Where and how.
        resume: Continue from the checkpoint in ``place.out``.

    Raises:
        UsageError: The folder holds a run already, or the recipe or data to resume have changed,
            or a task has no data.
        WeightsError: The checkpoint to resume is missing, torn or foreign, or the autoencoder's
            weights are not on this machine.
    """

    def __init__(
        self,
        recipe: AdaptingRecipe,
        examples: Mapping[FusionTask, Sequence[Example]],
        made: Mapping[FusionTask, Sequence[Example]],
        place: Place,
        *,
        resume: bool = False,
    ) -> None:
        self._recorded: dict[FusionTask, list[UInt8Image]] = {}
        self._held_out: dict[FusionTask, list[UInt8Image]] = {}
        for task in recipe.tasks:
            kept, held = split_by_scene(examples.get(task, ()), place.hold_out, place.seed)
            self._recorded[task] = [example_planes(example) for example in kept]
            self._held_out[task] = [example_planes(example) for example in held[:_VALIDATED]]
        self._made = {
            task: [example_planes(example) for example in made.get(task, ())]
            for task in recipe.tasks
        }
        for task in recipe.tasks:
            if not self._recorded[task] and not self._made[task]:
                raise UsageError(f"task {task!r}: the recipe names no data; name folders of pairs")
        self._turns = TaskRotation({task: (task,) for task in recipe.tasks})
        super().__init__(recipe, _build(recipe, place.seed), place, resume=resume)

    def _losses(self) -> dict[str, Tensor]:
        task, _ = self._turns.at(self.step)
        batch = self._batch(task).to(self.place.device)
        # The noise of the gates, too, is a function of the step.
        torch.manual_seed((self.place.seed << 32) + self.step)
        made = self.model.decide((batch.first, batch.second), Cues(task=task))
        weights = self._weights(task)
        terms = task_objective(made, batch, weights, len(self.model.streams.encoder_layers))
        share = self.recipe.balance / (1 + self.step // self.recipe.epoch)
        terms["balance"] = share * made.balance
        total = torch.stack(list(terms.values())).sum()
        named = {f"{task}/{name}": value for name, value in terms.items()}
        return {**named, "total": total}

    def _weights(self, task: FusionTask) -> TaskLoss:
        if self.step < self.recipe.settle:
            return _SETTLING_FOCUS if task == "mff" else _SETTLING
        return self.recipe.tasks[task].loss

    def _batch(self, task: FusionTask) -> TaskBatch:
        """Return the crops of this step, of recorded pairs or of made ones."""
        r, seed = self.recipe, self.place.seed
        draw = np.random.default_rng((seed, self.step, 1)).random()
        made = self._made[task] and draw < r.tasks[task].made_share
        planes = self._made[task] if made or not self._recorded[task] else self._recorded[task]
        return make_task_batch(
            planes, size=r.batch, crop=r.crop, scale=r.scale, seed=seed, step=self.step
        )

    @torch.no_grad()
    def _validate(self, sheet: Path) -> dict[str, float]:
        """Return the mean of each task's terms on whole held-out pairs; draw them."""
        found: dict[str, float] = {}
        rows = []
        for task, planes in self._held_out.items():
            totals = []
            for pair in planes:
                batch = whole_batch(pair).to(self.place.device)
                made = self.average.decide((batch.first, batch.second), Cues(task=task))
                terms = task_objective(
                    made,
                    batch,
                    self.recipe.tasks[task].loss,
                    len(self.average.streams.encoder_layers),
                )
                totals.append({name: float(value) for name, value in terms.items()})
                pictures = (batch.first, batch.second, made.image)
                rows.append([picture.mean(1, keepdim=True) for picture in pictures])
            for name in totals[0] if totals else ():
                found[f"{task}/{name}"] = sum(entry[name] for entry in totals) / len(totals)
        if rows:
            write_sheet(sheet, rows)
        return found

    def _counts(self) -> dict[str, int]:
        counts = {f"{task}_pairs": len(planes) for task, planes in self._recorded.items()}
        return counts | {f"{task}_made": len(planes) for task, planes in self._made.items()}

    def _extra(self) -> dict[str, Any]:
        return {"share_trained": round(self.model.trainable_share(), 5)}


def _build(recipe: AdaptingRecipe, seed: int) -> TCMoA:
    """Return the untrained network; a variant begins like the full one where it can."""
    network = create_model(recipe.model, seed)
    assert isinstance(network, TCMoA)
    if recipe.network:
        network = _variant(network, recipe.network, seed)
    if recipe.mae:
        network.configure(dataclasses.replace(network.options, mae_weights=recipe.mae))
    return network


def _variant(full: TCMoA, changes: dict[str, Any], seed: int) -> TCMoA:
    config: TCMoAConfig = dataclasses.replace(full.config, **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = TCMoA(full.name, config)
    share_initial_tensors(network, full)
    return network
