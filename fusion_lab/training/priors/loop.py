"""Train, calibrate and write the embedded network."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ConfigDict
from torch import Tensor
from torch.nn import functional as F

from fusion_core.models.blocks.joint import JointBatch
from fusion_core.priors.checkpoint import save_prior
from fusion_core.priors.network import PriorNet
from fusion_core.types import Modality
from fusion_lab.training.gathering import gather_parts
from fusion_lab.training.parallel import ALONE, Team, share_batch
from fusion_lab.training.priors.bases import Base, synthetic_bases
from fusion_lab.training.priors.samples import Samples, make_samples

_CALIBRATION_EVERY = 6
_MODALITIES: tuple[Modality, ...] = ("visible", "thermal")


@dataclass(frozen=True)
class PriorRecipe:
    """One training run of the embedded network.

    Attributes:
        model: Name of the provider's network.
        samples: Degraded pictures per modality.
        held_out: Degraded pictures of other scenes, for the calibration.
        steps: Optimiser steps of the visible network; the thermal one, of fewer kinds, takes half.
        batch: Pictures per step.
        crops: Crops looked at per picture and step, of twelve.
        learning_rate: Start of the cosine.
        weight_decay: Decoupled weight decay.
        quality: Weight of the quality head.
        seeds: Synthetic worlds; the last is for the calibration.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    model: str = "prior"
    samples: int = 6000
    held_out: int = 1500
    steps: int = 2800
    batch: int = 48
    crops: int = 6
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    quality: float = 0.5
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)


class PriorTraining:
    """Training of both networks, in one go and on the CPU.

    Every sixth recorded scene and one synthetic world are kept out of the training for Platt's
    scaling of each output.

    Args:
        recipe: What to do.
        bases: Recorded pictures.
        out: Folder of the run; receives ``embedded.safetensors``.
        seed: Seed of weights and samples.
        team: The processes of the run.
    """

    def __init__(
        self, recipe: PriorRecipe, bases: Sequence[Base], out: Path, seed: int, team: Team = ALONE
    ) -> None:
        self.step, self.seconds = 0, 0.0
        self._recipe, self._bases, self._out, self._seed = recipe, bases, out, seed
        self._team = team

    @property
    def steps(self) -> int:
        """Steps of both networks."""
        return sum(steps_of(self._recipe, modality) for modality in _MODALITIES)

    def run(self, on_step: Callable[[], object] = lambda: None) -> None:
        """Train, calibrate and write both networks; call ``on_step`` after every step."""
        start = time.perf_counter()
        recipe, seed = self._recipe, self._seed
        rendered = [synthetic_bases((number,)) for number in recipe.seeds]
        kept, held = split(self._bases)
        kept += [base for world in rendered[:-1] for base in world]
        held += [base for world in rendered[-1:] for base in world]

        def count_step(_: float) -> None:
            self.step += 1
            on_step()

        nets: dict[Modality, PriorNet] = {}
        for modality in _MODALITIES:
            training = self._samples(kept, modality, recipe.samples, seed)
            calibration = self._samples(held, modality, recipe.held_out, seed + 1)
            nets[modality] = fit(modality, training, recipe, seed, count_step, team=self._team)
            calibrate(nets[modality], calibration)
        about = {"recipe": dataclasses.asdict(recipe), "seed": seed, "bases": len(kept)}
        if self._team.leads:
            save_prior(nets["visible"], nets["thermal"], self.finish(), about)
        self.seconds = time.perf_counter() - start

    def finish(self) -> Path:
        """Return the file of the weights."""
        return self._out / "embedded.safetensors"

    def _samples(self, bases: Sequence[Base], modality: Modality, count: int, seed: int) -> Samples:
        """Make samples; each process makes a part of them, and gets all."""
        joint = self._team.share(count)
        numbers = joint.own(torch.arange(count)).tolist()
        own = make_samples(bases, modality, numbers, seed)
        parts = (getattr(own, field.name) for field in dataclasses.fields(own))
        return Samples(*map(joint.gather, parts))


def steps_of(recipe: PriorRecipe, modality: Modality) -> int:
    """Return the optimiser steps of one network."""
    return recipe.steps if modality == "visible" else recipe.steps // 2


def split(bases: Sequence[Base]) -> tuple[list[Base], list[Base]]:
    """Split by scene: every sixth is held out."""
    scenes = sorted({base.scene for base in bases})
    held = set(scenes[::_CALIBRATION_EVERY]) if len(scenes) > 1 else set()
    return [b for b in bases if b.scene not in held], [b for b in bases if b.scene in held]


def fit(
    modality: Modality,
    samples: Samples,
    recipe: PriorRecipe,
    seed: int,
    on_loss: Callable[[float], object] = lambda _: None,
    *,
    team: Team = ALONE,
) -> PriorNet:
    """Return a network trained on the samples; call ``on_loss`` with the loss of every step."""
    joint = team.share(recipe.batch)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net: PriorNet = PriorNet(modality).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        net.mean.copy_(samples.statistics.mean(0))
        net.deviation.copy_(samples.statistics.std(0) + 1e-3)
        optimiser = torch.optim.AdamW(
            net.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        steps = steps_of(recipe, modality)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        share_batch(net, joint)
        for _ in range(steps):
            loss = _loss(net, samples, recipe, joint)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            team.mean_gradients(net.parameters())
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            decay.step()
            on_loss(float(loss.detach()))
    return net.eval()


def _loss(net: PriorNet, samples: Samples, recipe: PriorRecipe, joint: JointBatch) -> Tensor:
    """Return the loss of a random batch."""
    rows = torch.randint(len(samples.labels), (recipe.batch,))
    crops = torch.randperm(samples.crops.shape[1])[: recipe.crops]
    own = joint.own(rows)
    thumbs = samples.thumbs[own].float().div(255).contiguous(memory_format=torch.channels_last)
    details = samples.crops[own][:, crops].float() / 255
    with torch.autocast("cpu", torch.bfloat16):
        found, fine, _ = net(thumbs, details, samples.statistics[own])
    logits, quality = gather_parts(joint, (found, fine))
    known = samples.known[rows]
    wrong = F.binary_cross_entropy_with_logits(
        logits.float(), samples.labels[rows], known, reduction="sum"
    )
    off = F.binary_cross_entropy_with_logits(quality.float(), samples.quality[rows])
    return wrong / known.sum() + recipe.quality * off


@torch.no_grad()
def predict(net: PriorNet, samples: Samples, batch: int = 64) -> tuple[Tensor, Tensor]:
    """Return raw logits ``NxK`` and quality ``N`` in [0, 1]."""
    logits, quality = [], []
    for first in range(0, len(samples.labels), batch):
        part = slice(first, first + batch)
        found = net(
            samples.thumbs[part].float() / 255,
            samples.crops[part].float() / 255,
            samples.statistics[part],
        )
        logits.append(found[0])
        quality.append(torch.sigmoid(found[1]))
    return torch.cat(logits), torch.cat(quality)


def calibrate(net: PriorNet, samples: Samples) -> None:
    """Set slope and offset of every output by Platt's method (1999) on held-out samples."""
    logits, _ = predict(net, samples)
    for column in range(logits.shape[1]):
        rows = samples.known[:, column] > 0
        slope, offset = platt(logits[rows, column], samples.labels[rows, column])
        net.slope[column], net.offset[column] = slope, offset


def platt(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> tuple[float, float]:
    """Return slope and offset that make ``sigmoid(slope x + offset)`` likeliest.

    Targets are Platt's smoothed ones, so that separable outputs stay finite.

    Args:
        logits: ``N``.
        labels: ``N`` in {0, 1}.
        weights: ``N``, how much each counts; None: all alike.
    """
    positives, negatives = float(labels.sum()), float((1 - labels).sum())
    high, low = (positives + 1) / (positives + 2), 1 / (negatives + 2)
    targets = (labels * high + (1 - labels) * low).double()
    values = logits.double()
    counted = None if weights is None else weights.double()
    parameters = torch.tensor([1.0, 0.0], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([parameters], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        scaled = parameters[0] * values + parameters[1]
        loss = F.binary_cross_entropy_with_logits(scaled, targets, counted)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    slope, offset = parameters.detach().tolist()
    return max(slope, 1e-3), offset
