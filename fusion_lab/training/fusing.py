"""Training of the networks that fuse by a memory bank: M2PN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.memory import MemoryBank, MemoryConfig, quality_score
from fusion_core.models import NO_CUES, LumaFuser
from fusion_lab.training.ablation import build_network
from fusion_lab.training.dataset import Batch, Pair, make_batch, split_by_scene
from fusion_lab.training.discriminator import Discriminator
from fusion_lab.training.fusers import FuserTrainer
from fusion_lab.training.loop import Place
from fusion_lab.training.objective import objective
from fusion_lab.training.recipe import Recipe
from fusion_lab.training.validation import validate


class FusionTrainer(FuserTrainer[Recipe, LumaFuser]):
    """Trains M2PN, its memory bank included.

    Args:
        recipe: What to do.
        pairs: All pairs; the validation scenes are split off here.
        place: Where and how.
        resume: Go on from the checkpoint in ``place.out``.

    Raises:
        UsageError: The folder holds a run already, or the recipe or data to resume have changed.
        WeightsError: The checkpoint to resume is missing, torn or foreign.
    """

    def __init__(
        self, recipe: Recipe, pairs: Sequence[Pair], place: Place, *, resume: bool = False
    ) -> None:
        self.training, self.held_out = split_by_scene(pairs, place.hold_out, place.seed)
        network = build_network(recipe.model, recipe.ablation, place.seed)
        self.fuse = torch.compile(network.fuse_luma) if place.compile else network.fuse_luma
        self.judge: Discriminator | None = None
        if recipe.judge == "discriminator":
            self.judge = Discriminator(place.seed).to(place.device)
        super().__init__(recipe, network, place, resume=resume)
        self.bank = MemoryBank(
            self.model.bank,
            MemoryConfig(mode="online"),
            recipe.model,
            momentum=recipe.momentum,
            kappa=recipe.kappa,
            replace_after=recipe.replace_after,
        )
        if resume:
            self.bank.load_snapshot(place.out / self._resumed["bank"])

    def _losses(self) -> dict[str, Tensor]:
        batch = self._crops()
        with self._autocast():
            output = self.fuse(batch.thermal, batch.visible, self.bank.slots, NO_CUES)
        self._last = batch, output
        return objective(output, batch, self.recipe.loss)

    def _learned(self) -> None:
        """Offer the scene vectors to the memory, with the judge's scores of the fused crops."""
        batch, output = self._last
        fused = output.fused.detach().float()
        if self.judge is None:
            scores = quality_score(fused)
        else:
            scores = self.judge.judge(fused, batch.thermal, batch.visible)
        self.bank.update(output.query, scores)

    def _crops(self) -> Batch:
        """Return the crops of this step."""
        recipe, place = self.recipe, self.place
        drawn = make_batch(
            self.training,
            recipe.augmentation,
            size=recipe.batch,
            crop=recipe.crop,
            seed=place.seed,
            step=self.step,
        )
        return Batch(*(plane.to(place.device) for plane in drawn))

    def _begin(self) -> None:
        """Load the weights to start from, if any.

        Without, the random slots are brought to the length of the first scene vectors.
        """
        if self.recipe.init:
            super()._begin()
            return
        batch = self._crops()
        with torch.no_grad(), self._autocast():  # once: not worth compiling
            output = self.model.fuse_luma(batch.thermal, batch.visible, self.model.bank, NO_CUES)
            self.model.bank.mul_(output.query.float().norm(dim=1).mean())

    def _keep(self) -> dict[str, Any]:
        bank = f"bank-{self.step:06d}.safetensors"
        self.bank.save_snapshot(self.place.out / bank)
        self.average.bank.copy_(self.bank.slots)
        return {"bank": bank}

    def _write(self, scalars: Mapping[str, Any]) -> None:
        for old in self.place.out.glob("bank-*.safetensors"):
            if old.name != scalars["bank"]:
                old.unlink()
        super()._write(scalars)

    def _validate(self, sheet: Path) -> dict[str, float]:
        return validate(self.average, self.held_out, self.recipe.loss, sheet)

    def _networks(self) -> dict[str, nn.Module]:
        networks = super()._networks()
        return networks if self.judge is None else {**networks, "quality_score": self.judge}

    def _counts(self) -> dict[str, int]:
        return {"training_pairs": len(self.training), "validation_pairs": len(self.held_out)}

    def _extra(self) -> dict[str, Any]:
        stats = self.bank.stats()
        memory = {"accepted": stats.accepted, "queries": stats.queries}
        return {"memory": {**memory, "diversity": round(stats.diversity, 4)}}
