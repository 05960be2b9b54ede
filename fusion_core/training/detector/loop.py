"""The training loop of the detector."""

from __future__ import annotations

import copy
import dataclasses
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.errors import UsageError
from fusion_core.training.checkpoint import load_state, save_state
from fusion_core.training.detector.crops import Sampling, make_batch
from fusion_core.training.detector.export import export_onnx
from fusion_core.training.detector.loss import detection_loss
from fusion_core.training.detector.network import PairNano
from fusion_core.training.detector.pool import Pool
from fusion_core.training.loop import Place

_LOG_EVERY = 20


@dataclass(frozen=True)
class DetectorRecipe:
    """One training run.

    Attributes:
        steps: Optimiser steps.
        batch: Pictures per step.
        learning_rate: After warm-up, until the decay.
        warmup: Steps of linear warm-up.
        decay: Share of the steps at the end in which the rate falls linearly to nothing.
        weight_decay: Of convolutions.
        clip: Largest norm of a step's gradient.
        ema: Decay of the averaged weights, which are those that ship.
        save_every: Steps between checkpoints.
        rendered_seeds: Streets rendered to learn from beside the recordings.
        sampling: How pictures are drawn.
    """

    steps: int = 7000
    batch: int = 8
    learning_rate: float = 1.5e-3
    warmup: int = 300
    decay: float = 0.4
    weight_decay: float = 0.03
    clip: float = 10.0
    ema: float = 0.999
    save_every: int = 100
    rendered_seeds: int = 20
    sampling: Sampling = field(default_factory=Sampling)


class DetectorTrainer:
    """Trains ``pair-nano`` from scratch; a killed run goes on bit for bit.

    The learning rate is constant until its decay, so that a resumed run may be given another number
    of steps as long as the decay has not begun.

    Args:
        recipe: What to do.
        pool: Labelled pairs.
        place: Where and how.
        resume: Go on from the checkpoint in ``place.out``.

    Raises:
        UsageError: The folder holds a run already, or the recipe or data to resume have changed.
        WeightsError: The checkpoint to resume is missing, torn or foreign.
    """

    def __init__(
        self, recipe: DetectorRecipe, pool: Pool, place: Place, *, resume: bool = False
    ) -> None:
        self.recipe, self.pool, self.place = recipe, pool, place
        self.step, self.seconds = 0, 0.0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(place.seed)
            self.model = PairNano().to(place.device).train()
        self.features = torch.compile(self.model.features) if place.compile else self.model.features
        self.average = copy.deepcopy(self.model).eval().requires_grad_(requires_grad=False)
        self._networks = {"model": self.model, "average": self.average}
        self.optimiser = torch.optim.AdamW(_groups(self.model, recipe.weight_decay))
        checkpoint = place.out / "checkpoint.safetensors"
        if resume:
            scalars = load_state(checkpoint, self._networks, self.optimiser)
            self._check(checkpoint, scalars)
            self.step, self.seconds = scalars["step"], scalars["seconds"]
        elif checkpoint.exists():
            raise UsageError(f"{checkpoint}: a run lies here; resume it or choose another folder")
        place.out.mkdir(parents=True, exist_ok=True)

    def run(self, on_step: Callable[[], object] = lambda: None) -> None:
        """Train to the end of the recipe; call ``on_step`` after every step."""
        with (self.place.out / "log.jsonl").open("a", encoding="utf-8") as log:
            while self.step < self.recipe.steps:
                started = time.monotonic()
                terms = self._advance()
                self.seconds += time.monotonic() - started
                if self.step % _LOG_EVERY == 0:
                    log.write(json.dumps(self._entry(terms)) + "\n")
                    log.flush()
                if self.step == self.recipe.steps or self.step % self.recipe.save_every == 0:
                    self.save()
                on_step()

    def save(self) -> None:
        """Write the checkpoint."""
        scalars = {**self._describe(), "step": self.step, "seconds": self.seconds}
        path = self.place.out / "checkpoint.safetensors"
        save_state(path, self._networks, self.optimiser, scalars)

    def export(self) -> Path:
        """Write the averaged network as ONNX and return its path.

        Raises:
            MissingExtraError: The exporter's packages are not installed.
        """
        path = self.place.out / f"{self.model.name}.onnx"
        export_onnx(self.average, self.recipe.sampling.input, path, self._describe())
        return path

    def _advance(self) -> dict[str, Tensor]:
        """Do one step: update the network and its average."""
        recipe, device = self.recipe, self.place.device
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(recipe, self.step)
        images, objects = make_batch(
            self.pool, recipe.sampling, count=recipe.batch, seed=self.place.seed, step=self.step
        )
        half = self.place.precision != torch.float32
        kind = torch.device(device).type
        with torch.autocast(kind, dtype=self.place.precision, enabled=half):
            features = self.features(images.to(device))
        predictions = self.model.predict(features)
        terms = detection_loss(predictions, [o.to(device) for o in objects])
        self.optimiser.zero_grad(set_to_none=True)
        terms["total"].backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        self.optimiser.step()
        update_average(
            self.average, self.model, min(recipe.ema, (1 + self.step) / (20 + self.step))
        )
        self.step += 1
        return {**terms, "gradient_norm": norm}

    def _check(self, path: Path, scalars: dict[str, Any]) -> None:
        """Refuse a checkpoint of another recipe, seed or data; steps may change before decay."""
        before, now = scalars["recipe"], self._describe()["recipe"]
        begun = scalars["step"] > (1 - before["decay"]) * before["steps"]
        if not begun:
            before = {**before, "steps": now["steps"]}
        for key, value in {**self._describe(), "recipe": now}.items():
            kept = before if key == "recipe" else scalars[key]
            if kept != value:
                raise UsageError(
                    f"{path}: trained with {key} = {kept!r}, now {value!r}; "
                    "resume with the same or start a new run"
                )

    def _describe(self) -> dict[str, Any]:
        recipe = json.loads(json.dumps(dataclasses.asdict(self.recipe)))
        counts = {"recorded": len(self.pool.recorded), "rendered": len(self.pool.rendered)}
        return {"recipe": recipe, "seed": self.place.seed, **counts}

    def _entry(self, terms: dict[str, Tensor]) -> dict[str, Any]:
        return {
            "step": self.step,
            "seconds": round(self.seconds, 1),
            "rate": learning_rate(self.recipe, self.step - 1),
            **{name: round(float(value.detach()), 5) for name, value in terms.items()},
        }


def learning_rate(recipe: DetectorRecipe, step: int) -> float:
    """Return the rate of a step (from 0): linear warm-up, constant, linear decay."""
    up = (step + 1) / max(1, recipe.warmup)
    down = (recipe.steps - step) / max(1.0, recipe.decay * recipe.steps)
    return recipe.learning_rate * min(1.0, up, down)


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move averaged parameters and batch statistics towards the model's."""
    for kept, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)


def _groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the parameters for the optimiser; biases and normalisations do not decay."""
    parameters = list(model.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
