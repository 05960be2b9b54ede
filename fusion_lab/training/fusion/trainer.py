"""Training of the networks that fuse with a memory bank: M2PN."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.errors import UsageError
from fusion_core.memory import MemoryBank, MemoryConfig
from fusion_core.models import NO_CUES, LumaFuser, load_model, load_weights, save_weights
from fusion_core.types import UInt8Image
from fusion_lab.data import Example, FusionTask, split_by_scene
from fusion_lab.training.batches import PairBatch, make_pair_batch, pair_planes
from fusion_lab.training.fuser_trainer import FuserTrainer
from fusion_lab.training.fusion.ablation import build_network
from fusion_lab.training.fusion.judges import open_judge, score_fused
from fusion_lab.training.fusion.recipe import FusionRecipe
from fusion_lab.training.fusion.validation import validate_fusion
from fusion_lab.training.gathering import gather_luma, gather_parts, own_rows
from fusion_lab.training.loop import Place
from fusion_lab.training.objective import LossWeights, objective
from fusion_lab.training.tasks import TaskRotation, by_task


class FusionTrainer(FuserTrainer[FusionRecipe, LumaFuser]):
    """Trains M2PN, its memory bank included.

    Args:
        recipe: What to do.
        examples: All pairs of all tasks; the validation scenes are split off here.
        place: Where and how.
        resume: Continue from the checkpoint in ``place.out``.

    Raises:
        UsageError: The folder holds a run already, or the recipe or data to resume have changed.
        WeightsError: The checkpoint to resume is missing, torn or foreign.
    """

    def __init__(
        self,
        recipe: FusionRecipe,
        examples: Sequence[Example],
        place: Place,
        *,
        resume: bool = False,
    ) -> None:
        training: dict[FusionTask, list[UInt8Image]] = {}
        self._held_out: list[tuple[UInt8Image, LossWeights]] = []
        for task, found in by_task(examples).items():
            kept, held = split_by_scene(found, place.hold_out, place.seed)
            training[task] = [pair_planes(example) for example in kept]
            loss = recipe.loss_of(task)
            self._held_out += [(pair_planes(example), loss) for example in held]
        self._tasks = TaskRotation(training)
        self._pictures = [planes for pictures in training.values() for planes in pictures]
        network = build_network(recipe.model, recipe.ablation, place.seed)
        _keep_others(network, recipe.learns)
        self.fuse = torch.compile(network.fuse_luma) if place.compile else network.fuse_luma
        self.judge = open_judge(
            recipe.quality_score, recipe.quality_weights, torch.device(place.device), place.seed
        )
        self.teacher = _load_teacher(recipe.teacher, place.device)
        super().__init__(recipe, network, place, resume=resume)
        self.bank = MemoryBank(
            self.model.bank.detach().cpu().numpy(),
            MemoryConfig(mode="online"),
            recipe.model,
            momentum=recipe.momentum,
            kappa=recipe.kappa,
            replace_after=recipe.replace_after,
            accept_unjudged=True,
        )
        if resume:
            self.bank.load_snapshot(place.out / self._resumed["bank"])

    def finish(self) -> Path:
        """Add to the weights how well the training pictures are fused; return their path."""
        path = super().finish()
        about = load_weights(self.average, path)
        self.average.scores = score_fused(self.average, self._pictures)
        save_weights(self.average, path, about)
        return path

    def _losses(self) -> dict[str, Tensor]:
        task, batch = self._crops()
        own = own_rows(self.joint, batch)
        with self._autocast():
            output = self.fuse(own.thermal, own.visible, self._slots(), NO_CUES)
        output = gather_luma(self.joint, output)
        self._last = batch, output
        taught = self._taught(own)
        return objective(output, batch, self.recipe.loss_of(task), taught)

    @torch.no_grad()
    def _taught(self, own: PairBatch) -> Tensor | None:
        """Return what the teacher makes of the whole batch, from the rows of this process."""
        if self.teacher is None:
            return None
        with self._autocast():
            made = self.teacher.forward_luma(own.thermal, own.visible).fused
        return gather_parts(self.joint, [made.float()])[0]

    def _learned(self) -> None:
        """Update the memory with the scene vectors and the quality scores of the fused crops."""
        batch, output = self._last
        fused = output.fused.detach().float()
        scores = self.judge.score(fused, batch.thermal, batch.visible).tolist()
        self.bank.update(output.query.detach().float().cpu().numpy(), scores)

    def _slots(self) -> Tensor:
        """Return the memory as it is now, on the network's device."""
        return torch.from_numpy(self.bank.slots).to(self.place.device)

    def _crops(self) -> tuple[FusionTask, PairBatch]:
        """Return the task of this step and its crops."""
        recipe, place = self.recipe, self.place
        task, pictures = self._tasks.at(self.step)
        drawn = make_pair_batch(
            pictures,
            recipe.augmentation,
            size=recipe.batch,
            crop=recipe.crop,
            seed=place.seed,
            step=self.step,
        )
        return task, PairBatch(*(plane.to(place.device) for plane in drawn))

    def _begin(self) -> None:
        """Load the weights to start from, if any.

        Without, the random slots are brought to the length of the first scene vectors.
        """
        if self.recipe.init:
            super()._begin()
            return
        _, batch = self._crops()
        with torch.no_grad(), self._autocast():  # once: not worth compiling
            output = self.model.fuse_luma(batch.thermal, batch.visible, self.model.bank, NO_CUES)
            self.model.bank.mul_(output.query.float().norm(dim=1).mean())

    def _keep(self) -> dict[str, Any]:
        bank = f"bank-{self.step:06d}.safetensors"
        self.bank.save_snapshot(self.place.out / bank)
        self.average.bank.copy_(self._slots())
        return {"bank": bank}

    def _write(self, scalars: Mapping[str, Any]) -> None:
        for old in self.place.out.glob("bank-*.safetensors"):
            if old.name != scalars["bank"]:
                old.unlink()
        super()._write(scalars)

    def _validate(self, sheet: Path) -> dict[str, float]:
        return validate_fusion(self.average, self._held_out, sheet)

    def _networks(self) -> dict[str, nn.Module]:
        networks = super()._networks()
        if isinstance(self.judge, nn.Module):
            return {**networks, "quality_score": self.judge}
        return networks

    def _counts(self) -> dict[str, int]:
        return {"training_pairs": len(self._pictures), "validation_pairs": len(self._held_out)}

    def _extra(self) -> dict[str, Any]:
        stats = self.bank.stats()
        memory = {"accepted": stats.accepted, "queries": stats.queries}
        return {"memory": {**memory, "diversity": round(stats.diversity, 4)}}


def _keep_others(network: LumaFuser, learns: Sequence[str]) -> None:
    """Let only the named parts of a network learn; all, where none is named.

    Raises:
        UsageError: It has no such part.
    """
    parts = dict(network.named_children())
    if odd := sorted(set(learns) - parts.keys()):
        raise UsageError(
            f"learns {', '.join(odd)}: no such part of {network.name!r}; it has {', '.join(parts)}"
        )
    for name, part in parts.items():
        part.requires_grad_(requires_grad=not learns or name in learns)


def _load_teacher(name: str, device: str) -> LumaFuser | None:
    """Return the network to learn from; None without a name.

    Raises:
        UsageError: No such network, or it does not fuse luma.
        WeightsError: It has no weights, or they do not fit.
    """
    if not name:
        return None
    network = load_model(name, device).luma_path
    if network is None:
        raise UsageError(f"teacher {name!r}: does not fuse luma; name one that does, as m2pn-edge")
    return network.requires_grad_(requires_grad=False)
