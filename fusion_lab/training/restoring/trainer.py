"""Training of networks that restore: MdaIF, and the first half of a cascade."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.errors import UsageError
from fusion_core.models import Cues, load_model, save_weights
from fusion_core.models.blocks import ExpertMixture
from fusion_core.models.blocks.routing import NoisyTopK
from fusion_core.models.mdaif import MdaIF, Restored
from fusion_core.priors import PriorProvider
from fusion_lab.data import Example, split_by_scene
from fusion_lab.training.fuser_trainer import FuserTrainer
from fusion_lab.training.gathering import gather_parts, own_rows
from fusion_lab.training.loop import Place
from fusion_lab.training.restoring.objective import restoring_objective
from fusion_lab.training.restoring.pool import (
    DegradedSample,
    RestoringBatch,
    RestoringPool,
    to_batch,
)
from fusion_lab.training.restoring.recipe import RestoringRecipe
from fusion_lab.training.restoring.restorer import Restorer
from fusion_lab.training.restoring.validation import validate_restoring
from fusion_lab.training.restoring.widening import load_widened
from fusion_lab.training.shared_init import build_variant

# Pictures that routers are calibrated on.
_CALIBRATION = 48


class RestoringTrainer(FuserTrainer[RestoringRecipe, MdaIF | Restorer]):
    """Trains MdaIF or the restorer.

    Args:
        recipe: What to do.
        examples: All pairs; the validation scenes are split off here.
        provider: Shows the network what the degraded pictures are like; None shows nothing.
        place: Where and how.
        resume: Continue from the checkpoint in ``place.out``.

    Raises:
        UsageError: The folder holds a run already, or the recipe or data to resume have changed.
        WeightsError: The checkpoint to resume is missing, torn or foreign.
    """

    def __init__(
        self,
        recipe: RestoringRecipe,
        examples: Sequence[Example],
        provider: PriorProvider | None,
        place: Place,
        *,
        resume: bool = False,
    ) -> None:
        self.training, self.held_out = split_by_scene(examples, place.hold_out, place.seed)
        self._provider = provider
        self._pool = RestoringPool(self.training, recipe, provider, place.seed)
        network = _build(recipe, None if provider is None else provider.dim, place.seed)
        keep_others(network, recipe.learns)
        super().__init__(recipe, network, place, resume=resume)
        for mixture in _kept_mixtures(self.model):
            mixture.gate.eval()

    def _begin(self) -> None:
        """Begin with the small fusion network that ships, whatever the given weights hold."""
        if not isinstance(self.model, MdaIF):
            super()._begin()
        else:
            if self.recipe.init:
                load_widened(self.model, self.recipe.init)
            fusion = self.model.fusion
            fusion.load_state_dict(load_model(fusion.name).state_dict())

    def _losses(self) -> dict[str, Tensor]:
        batch = RestoringBatch(
            *(part.to(self.place.device) for part in self._pool.batch(self.step))
        )
        # Noise of the gates and dropped priors, too, are a function of the step.
        torch.manual_seed((self.place.seed << 32) + self.step)
        with self._autocast():
            made = self._gathered(restore(self.model, own_rows(self.joint, batch)))
        target = None
        if isinstance(self.model, MdaIF):
            with torch.no_grad():
                target = self.model.merged(batch.clean_thermal, batch.clean[:, :1])
        orthonormality = self.model.orthonormality()
        return restoring_objective(made, batch, target, orthonormality, self.recipe.loss)

    def _gathered(self, made: Restored) -> Restored:
        """Return what was made of all rows of the batch; the balance is of all already."""
        *parts, balance = made
        found = gather_parts(self.joint, parts)
        return Restored._make([*found, balance])

    def _write(self, scalars: Mapping[str, Any]) -> None:
        """Write the averaged weights with routers calibrated to them, on whole pictures.

        The average itself stays as it is, so that a resumed run continues with the same bits.
        """
        settled = copy.deepcopy(self.average)
        if not _kept_mixtures(self.model):
            calibrate_routers(settled, [self._pool.sample(index) for index in range(_CALIBRATION)])
        save_weights(settled, self.place.out / "weights.safetensors", scalars)

    def _validate(self, sheet: Path) -> dict[str, float]:
        return validate_restoring(self.average, self.held_out, self._provider, sheet)

    def _counts(self) -> dict[str, int]:
        return {"training_pairs": len(self.training), "validation_pairs": len(self.held_out)}


def keep_others(network: nn.Module, learns: Sequence[str]) -> None:
    """Let only tensors whose names begin so learn; no names: as it is.

    Raises:
        UsageError: No tensor's name begins so.
    """
    tensors = dict(network.named_parameters())
    for start in learns:
        if not any(name.startswith(start) for name in tensors):
            raise UsageError(f"learns {start!r}: no tensor's name begins so")
    for name, tensor in tensors.items():
        if learns and not name.startswith(tuple(learns)):
            tensor.requires_grad = False


def _kept_mixtures(network: nn.Module) -> list[ExpertMixture]:
    """Return the mixtures whose routers do not learn."""
    mixtures = [module for module in network.modules() if isinstance(module, ExpertMixture)]
    return [m for m in mixtures if not any(p.requires_grad for p in m.router.parameters())]


def restore(model: MdaIF | Restorer, batch: RestoringBatch) -> Restored:
    """Let a network see the degraded side of a batch."""
    tokens = batch.tokens if batch.tokens.shape[1] else None
    cues = Cues(batch.degraded[:, 1:], tokens)
    return model.restore(batch.degraded_thermal, batch.degraded[:, :1], cues)


@torch.no_grad()
def calibrate_routers(model: MdaIF | Restorer, samples: Sequence[DegradedSample]) -> None:
    """Standardise the logits of every router over what the network makes of some pictures."""
    seen: dict[NoisyTopK, list[Tensor]] = {
        module: [] for module in model.modules() if isinstance(module, NoisyTopK)
    }
    hooks = [
        gate.register_forward_pre_hook(lambda gate, inputs: seen[gate].append(inputs[0]))
        for gate in seen
    ]
    for sample in samples if seen else ():
        prior = (torch.from_numpy(part)[None] for part in (sample.tokens, sample.weather))
        batch = to_batch(sample.planes[None], *prior)
        restore(model, RestoringBatch(*(part.to(model.bank.device) for part in batch)))
    for hook in hooks:
        hook.remove()
    for gate, found in seen.items():
        gate.calibrate(torch.cat([logits.movedim(1, -1).flatten(0, -2) for logits in found]))


def _build(recipe: RestoringRecipe, prior: int | None, seed: int) -> MdaIF | Restorer:
    """Return the untrained network, as wide as the prior's tokens."""
    if recipe.model == "restorer":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Restorer()
    own = ("rows",) if "orthonormal" in recipe.network else ()
    given = {"prior": prior} if prior else {}
    network = build_variant(recipe.model, seed, recipe.network, given=given, own=own)
    assert isinstance(network, MdaIF), "weather is restored by MdaIF"
    return network
