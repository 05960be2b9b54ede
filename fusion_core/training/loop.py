"""The training loop: seeded, resumable, one page."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.errors import UsageError
from fusion_core.memory import MemoryBank, MemoryConfig, judge
from fusion_core.models import NO_CUES, Fuser, FuserOutput, load_weights, save_weights
from fusion_core.training.ablation import build_network
from fusion_core.training.checkpoint import load_state, save_state
from fusion_core.training.dataset import Batch, Pair, make_batch, split_by_scene
from fusion_core.training.discriminator import Discriminator
from fusion_core.training.objective import objective
from fusion_core.training.recipe import Recipe
from fusion_core.training.runlog import RunLog
from fusion_core.training.validation import validate

_LOG_EVERY = 50


@dataclass(frozen=True, slots=True)
class Place:
    """Where and how a run computes; none of it belongs to the recipe.

    Attributes:
        out: Folder of the run: ``weights.safetensors``, ``checkpoint.safetensors``, ``log.jsonl``,
            ``tensorboard/``, ``recipe.json``, ``sheets/``.
        seed: Seed of weights, crops and split.
        device: Torch device.
        precision: Type that the network computes in; losses and weights are float32.
        compile: Let torch compile the network: about twice as fast, needs a C++ compiler.
        hold_out: Share of the pairs, in whole scenes, kept for validation.
    """

    out: Path
    seed: int = 0
    device: str = "cpu"
    precision: torch.dtype = torch.float32
    compile: bool = False
    hold_out: float = 0.04


class Trainer:
    """One training run, from its seed or from its checkpoint.

    Every random choice is a function of (seed, step), and the checkpoint holds everything else, so
    that on a CPU a run that was killed and resumed ends with the same bits as one that was not.

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
        self.recipe, self.place = recipe, place
        self.training, self.held_out = split_by_scene(pairs, place.hold_out, place.seed)
        self.step, self.seconds = 0, 0.0
        self.model = _prepare(
            build_network(recipe.model, recipe.ablation, place.seed), place.device
        )
        self.fuse = torch.compile(self.model.fuse) if place.compile else self.model.fuse
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.judge: Discriminator | None = None
        if recipe.judge == "discriminator":
            self.judge = Discriminator(place.seed).to(place.device)
        if not resume:
            self._start()
        self.average = copy.deepcopy(self.model).eval().requires_grad_(requires_grad=False)
        scalars = self._load() if resume else {}
        self.bank = MemoryBank(
            self.model.bank,
            MemoryConfig(mode="online", momentum=recipe.momentum, kappa=recipe.kappa),
            recipe.model,
            replace_after=recipe.replace_after,
        )
        if resume:
            self.bank.restore(place.out / scalars["bank"])

    def run(self, on_step: Callable[[], object] = lambda: None) -> None:
        """Train to the end of the recipe; call ``on_step`` after every step."""
        (self.place.out / "recipe.json").write_text(json.dumps(self._describe(), indent=2) + "\n")
        with RunLog(self.place.out, self.step) as log:
            while self.step < self.recipe.steps:
                started = time.monotonic()
                entry = self._advance()
                self.seconds += time.monotonic() - started
                if self.step % _LOG_EVERY == 0:
                    log.add(self._entry(entry))
                last = self.step == self.recipe.steps
                if last or self.step % self.recipe.save_every == 0:
                    self.save()
                if last or self.step % self.recipe.validate_every == 0:
                    terms = validate(self.average, self.held_out, self.recipe.loss, self._sheet())
                    log.add({"step": self.step, "validation": terms})
                    log.add_sheet(self.step, self._sheet())
                on_step()

    def save(self) -> None:
        """Write the checkpoint and the averaged weights, which can be loaded at any time."""
        out, bank = self.place.out, f"bank-{self.step:06d}.safetensors"
        self.bank.save(out / bank)
        self.average.bank.copy_(self.bank.slots)
        scalars = {**self._describe(), "step": self.step, "seconds": self.seconds, "bank": bank}
        save_state(out / "checkpoint.safetensors", self._networks(), self.optimiser, scalars)
        for old in out.glob("bank-*.safetensors"):
            if old.name != bank:
                old.unlink()
        save_weights(self.average, out / "weights.safetensors", scalars)

    def _advance(self) -> dict[str, Tensor]:
        """Do one step: update the network, its average and the memory."""
        recipe = self.recipe
        rate = learning_rate(recipe, self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        batch = self._batch()
        output = self._forward(batch, self.bank.slots)
        terms = objective(output, batch, recipe.loss)
        self.optimiser.zero_grad(set_to_none=True)
        terms["total"].backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        self.optimiser.step()
        decay = min(recipe.ema, (1 + self.step) / (10 + self.step))
        update_average(self.average, self.model, decay)
        self.bank.update(output.query, self._score(output.fused.detach().float(), batch))
        self.step += 1
        return {**terms, "gradient_norm": norm}

    def _batch(self) -> Batch:
        recipe, place = self.recipe, self.place
        batch = make_batch(
            self.training,
            recipe.augmentation,
            size=recipe.batch,
            crop=recipe.crop,
            seed=place.seed,
            step=self.step,
        )
        return Batch(*(plane.to(place.device) for plane in batch))

    def _forward(self, batch: Batch, slots: Tensor) -> FuserOutput:
        half = self.place.precision != torch.float32
        device_type = torch.device(self.place.device).type
        with torch.autocast(device_type, dtype=self.place.precision, enabled=half):
            output: FuserOutput = self.fuse(batch.thermal, batch.visible, slots, NO_CUES)
        return output

    def _score(self, fused: Tensor, batch: Batch) -> Tensor:
        """Return the judge's scores of the fused crops."""
        if self.judge is None:
            return judge(fused)
        return self.judge.judge(fused, batch.thermal, batch.visible)

    def _networks(self) -> dict[str, nn.Module]:
        networks: dict[str, nn.Module] = {"model": self.model, "average": self.average}
        return networks if self.judge is None else {**networks, "judge": self.judge}

    def _start(self) -> None:
        """Make the folder and the initial weights.

        Without trained weights to start from, the random slots are brought to the length of the
        first scene vectors.
        """
        checkpoint = self.place.out / "checkpoint.safetensors"
        if checkpoint.exists():
            raise UsageError(f"{checkpoint}: a run lies here; resume it or choose another folder")
        self.place.out.mkdir(parents=True, exist_ok=True)
        if self.recipe.init:
            load_weights(self.model, self.recipe.init)
            return
        with torch.no_grad():
            query = self._forward(self._batch(), self.model.bank).query.float()
            self.model.bank.mul_(query.norm(dim=1).mean())

    def _load(self) -> dict[str, Any]:
        """Load the checkpoint; refuse one of another recipe, seed or data."""
        path = self.place.out / "checkpoint.safetensors"
        scalars = load_state(path, self._networks(), self.optimiser)
        for key, value in self._describe().items():
            if scalars[key] != value:
                raise UsageError(
                    f"{path}: trained with {key} = {scalars[key]!r}, now {value!r}; "
                    "resume with the same or start a new run"
                )
        self.step, self.seconds = scalars["step"], scalars["seconds"]
        return scalars

    def _describe(self) -> dict[str, Any]:
        recipe = json.loads(json.dumps(dataclasses.asdict(self.recipe)))
        counts = {"training_pairs": len(self.training), "validation_pairs": len(self.held_out)}
        return {"recipe": recipe, "seed": self.place.seed, **counts}

    def _entry(self, terms: dict[str, Tensor]) -> dict[str, Any]:
        stats = self.bank.stats()
        memory = {"accepted": stats.accepted, "queries": stats.queries}
        return {
            "step": self.step,
            "seconds": round(self.seconds, 1),
            "rate": learning_rate(self.recipe, self.step - 1),
            **{name: round(float(value.detach()), 5) for name, value in terms.items()},
            "memory": {**memory, "diversity": round(stats.diversity, 4)},
        }

    def _sheet(self) -> Path:
        return self.place.out / "sheets" / f"{self.step:06d}.png"


def learning_rate(recipe: Recipe, step: int) -> float:
    """Return the rate of a step (from 0): linear warm-up, then a cosine to the final rate."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    swing = (recipe.learning_rate - recipe.final_rate) / 2
    return recipe.final_rate + swing * (1 + math.cos(math.pi * progress))


@torch.no_grad()
def update_average(average: Fuser, model: Fuser, decay: float) -> None:
    """Move the averaged parameters towards the model's: ``a <- decay a + (1 - decay) m``."""
    for kept, new in zip(average.parameters(), model.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)


def _prepare(model: Fuser, device: str) -> Fuser:
    """Move a network to its device in the memory layout that convolutions prefer."""
    prepared: Fuser = model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return prepared.train()
