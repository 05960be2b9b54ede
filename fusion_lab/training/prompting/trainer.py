"""Training of CtrlFuse: fusion, prompts and segmenter together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from fusion_core.models import CtrlFuse, Cues
from fusion_lab.data import Example, split_by_scene
from fusion_lab.training.batches import PairBatch
from fusion_lab.training.cosine import cosine_rate
from fusion_lab.training.fuser_trainer import FuserTrainer
from fusion_lab.training.gathering import gather_luma, own_rows
from fusion_lab.training.loop import Place
from fusion_lab.training.objective import objective
from fusion_lab.training.prompting.batches import (
    PromptBatch,
    make_prompt_batch,
    prompt_planes,
    training_planes,
    whole_prompt_batch,
)
from fusion_lab.training.prompting.corruption import boxed
from fusion_lab.training.prompting.loss import full_size, prompt_objective
from fusion_lab.training.prompting.recipe import PromptRecipe
from fusion_lab.training.shared_init import build_variant
from fusion_lab.training.sheet import write_sheet

_SHEET_ROWS = 8
_NEEDED_BY_MASKS = ("encoder.", "segmenter.", "prompted.")


class PromptTrainer(FuserTrainer[PromptRecipe, CtrlFuse]):
    """Trains CtrlFuse.

    Args:
        recipe: What to do.
        examples: All labelled pairs; the validation scenes are split off here.
        place: Where and how.
        resume: Continue from the checkpoint in ``place.out``.

    Raises:
        UsageError: The folder holds a run already, or the recipe or data to resume have changed.
        WeightsError: The checkpoint to resume is missing, torn or foreign.
    """

    def __init__(
        self,
        recipe: PromptRecipe,
        examples: Sequence[Example],
        place: Place,
        *,
        resume: bool = False,
    ) -> None:
        kept, held = split_by_scene(examples, place.hold_out, place.seed)
        self._training = [training_planes(example) for example in kept]
        self._held_out = [prompt_planes(example) for example in held]
        network = _build(recipe, place.seed)
        self.fuse = torch.compile(network.fuse_luma) if place.compile else network.fuse_luma
        super().__init__(recipe, network, place, resume=resume)

    def _losses(self) -> dict[str, Tensor]:
        recipe, place = self.recipe, self.place
        reference_only = self.step < recipe.reference_steps
        fixed = recipe.reference_share is not None and not reference_only
        if fixed:
            self._fix_reference()
        batch = make_prompt_batch(
            self._training,
            recipe.augmentation,
            recipe.corruption,
            size=recipe.batch,
            crop=recipe.crop,
            seed=place.seed,
            step=self.step,
        )
        batch = _moved(batch, place.device)
        own = own_rows(self.joint, batch)
        thermal, visible = own.pictures.thermal, own.pictures.visible
        cues = Cues(mask=None if reference_only else own.prompt)
        with self._autocast():
            output = self.fuse(thermal, visible, self.model.bank, cues)
        output = gather_luma(self.joint, output)
        if reference_only:
            return objective(output, batch.pictures, recipe.reference)
        return prompt_objective(output, batch, None if fixed else recipe.reference, recipe.prompt)

    def _fix_reference(self) -> None:
        """Keep the reference fusion as it is, the averaged one."""
        averaged = dict(self.average.named_parameters())
        for name, parameter in self.model.named_parameters():
            if not name.startswith(_NEEDED_BY_MASKS):
                parameter.requires_grad = False
                parameter.data.copy_(averaged[name])

    def _rate(self, step: int) -> float:
        r = self.recipe
        begin, end = 0, r.reference_steps
        if step >= end:
            begin, end = end, r.steps
        return cosine_rate(
            step - begin,
            steps=end - begin,
            peak=r.learning_rate,
            final=r.final_rate,
            warmup=r.warmup,
        )

    @torch.no_grad()
    def _validate(self, sheet: Path) -> dict[str, float]:
        """Return the mean IoU of what is found where persons are boxed, and draw a sheet.

        ``boxes`` is the IoU of the boxes themselves, which a segmenter shall surpass.
        """
        rows: list[tuple[Tensor, ...]] = []
        found_iou: list[float] = []
        boxes_iou: list[float] = []
        for planes in self._held_out:
            batch = _moved(whole_prompt_batch(planes), self.place.device)
            if not bool(batch.target.any()):
                continue
            thermal, visible = batch.pictures.thermal, batch.pictures.visible
            boxes = torch.from_numpy(boxed(batch.prompt[0, 0].byte().cpu().numpy()))[None, None]
            prompt = boxes.to(batch.prompt)
            output = self.average.forward_luma(thermal, visible, Cues(mask=prompt))
            assert output.logits is not None, "a network with a mask segments"
            assert output.reference is not None, "a network with a mask keeps its reference fusion"
            found = full_size(output.logits, thermal.shape[-2:]).mean(1, keepdim=True) > 0
            meant = batch.target > 0
            for kept, mask in ((found_iou, found), (boxes_iou, prompt > 0)):
                kept.append(float((mask & meant).sum() / (mask | meant).sum()))
            if len(rows) < _SHEET_ROWS:
                rows.append((visible, thermal, output.reference, output.fused, found.float()))
        if not rows:
            return {}
        write_sheet(sheet, rows)
        scores = {"iou": found_iou, "boxes": boxes_iou}
        return {name: round(sum(kept) / len(kept), 4) for name, kept in scores.items()}

    def _counts(self) -> dict[str, int]:
        return {"training_pairs": len(self._training), "validation_pairs": len(self._held_out)}


def _build(recipe: PromptRecipe, seed: int) -> CtrlFuse:
    """Return the untrained network."""
    network = build_variant(recipe.model, seed, recipe.network)
    assert isinstance(network, CtrlFuse), "prompts are CtrlFuse's"
    return network


def _moved(batch: PromptBatch, device: str) -> PromptBatch:
    pictures = PairBatch(*(plane.to(device) for plane in batch.pictures))
    return PromptBatch(pictures, batch.prompt.to(device), batch.target.to(device))
