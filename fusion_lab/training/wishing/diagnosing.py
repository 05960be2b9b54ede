"""Training of MMAIF's diagnosis alone: which degradations pictures show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.mmaif.diagnosis import ROLES, clinical
from fusion_core.models.mmaif.weather import PRIOR
from fusion_lab.data import Example, FusionTask
from fusion_lab.training.wishing.samples import SampleMaker, WishedSample
from fusion_lab.training.wishing.trainer import WishingTrainer

_SIZES: Final = (192, 256, 320)  # edges of the regions, in turn
_CHECKED: Final = 60  # held-out sets per task
_JITTER: Final = 0.15  # deviations by which statistics are shaken
_BLIND: Final = 0.1  # share of pictures without a prior
_FLAT: Final = 1e-3


class Shown(NamedTuple):
    """Pictures, and what they show.

    Attributes:
        inputs: ``NxI``, see :func:`clinical`.
        kinds: ``NxK``, 1 where a degradation is there.
    """

    inputs: Tensor
    kinds: Tensor


class DiagnosisTrainer(WishingTrainer):
    """One run: all sets are drawn before the first step, then two layers learn from them.

    A share of ``recipe.night`` of the visible pictures are nights: they show no darkness that
    should go unless somebody says so. All else of the network stays as it is.
    """

    _kept: Shown | None = None

    def _optimiser(self) -> torch.optim.Optimizer:
        self.model.requires_grad_(requires_grad=False)
        learns = self.model.diagnosis.requires_grad_(requires_grad=True)
        return torch.optim.AdamW(learns.parameters(), weight_decay=self.recipe.weight_decay)

    def _begin(self) -> None:
        self._load()
        torch.manual_seed(self.place.seed)
        self.model.diagnosis.leave.reset_parameters()

    def _losses(self) -> dict[str, Tensor]:
        diagnosis = self.model.diagnosis
        if self._kept is None:
            self._kept = self._drawn()
            diagnosis.mean.copy_(self._kept.inputs.mean(0))
            diagnosis.scale.copy_(1 / self._kept.inputs.std(0).clamp_min(_FLAT))
            for name, value in diagnosis.named_buffers():
                self.average.diagnosis.get_buffer(name).copy_(value)
        torch.manual_seed((self.place.seed << 32) + self.step)
        chosen = torch.randint(len(self._kept.inputs), (self.recipe.batch,))
        inputs, kinds = (part[chosen].to(self.place.device) for part in self._kept)
        shaken = inputs + _JITTER * torch.randn_like(inputs) / diagnosis.scale
        return {
            "total": F.binary_cross_entropy_with_logits(diagnosis.tell(_blinded(shaken)), kinds)
        }

    @torch.no_grad()
    def _validate(self, sheet: Path) -> dict[str, float]:  # noqa: ARG002
        """Return the cross entropy per degradation on held-out scenes."""
        found: dict[str, float] = {}
        for task, sizes in self._sized(self._held).items():
            inputs, kinds = _shown(task, sizes, _CHECKED)
            logits = self.average.diagnosis.tell(inputs.to(self.place.device)).cpu()
            found[task] = float(F.binary_cross_entropy_with_logits(logits, kinds))
        return found

    def _drawn(self) -> Shown:
        parts = [
            _shown(task, makers, self.recipe.pool * self.recipe.turns.count(task))
            for task, makers in self._sized(self._examples).items()
        ]
        return Shown(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def _sized(
        self, examples: Mapping[FusionTask, Sequence[Example]]
    ) -> dict[FusionTask, list[SampleMaker]]:
        recipes = [replace(self.recipe, region=size) for size in _SIZES]
        return {
            task: [self._maker(task, found, recipe) for recipe in recipes]
            for task, found in examples.items()
            if found
        }


def _shown(task: FusionTask, makers: Sequence[SampleMaker], count: int) -> Shown:
    """Return the pictures of so many sets, by makers in turn."""
    inputs, kinds = [], []
    for number in range(count):
        sample = makers[number % len(makers)].sample(number)
        inputs.append(_read(sample, task))
        kinds.append(torch.from_numpy(sample.shown))
    return Shown(torch.cat(inputs), torch.cat(kinds))


def _read(sample: WishedSample, task: FusionTask) -> Tensor:
    measured = [sample.measured.cut(slice(role, role + 1), 0, 0, 4) for role in range(2)]
    return clinical(measured, sample.weather, task)[:, 0]


def _blinded(inputs: Tensor) -> Tensor:
    """Return inputs of which a share lacks the prior, see :func:`clinical`."""
    end = inputs.shape[1] - ROLES
    seen = torch.rand(len(inputs), 1, device=inputs.device) >= _BLIND
    tokens = inputs[:, end - PRIOR : end] * seen
    return torch.cat((inputs[:, : end - PRIOR], tokens, inputs[:, end:]), 1)
