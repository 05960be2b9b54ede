"""The training loop that all networks share: seeded, resumable, one page."""

from __future__ import annotations

import copy
import dataclasses
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import torch
from pydantic import ConfigDict, Field
from torch import Tensor, nn

from fusion_core.errors import UsageError
from fusion_lab.training.checkpoint import load_state, save_state
from fusion_lab.training.parallel import ALONE, Team, share_batch
from fusion_lab.training.runlog import RunLog

_LOG_EVERY = 50
_CHECKPOINT = "checkpoint.safetensors"


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
        team: The processes of the run; the first one alone writes into ``out``.
    """

    out: Path
    seed: int = 0
    device: str = "cpu"
    precision: torch.dtype = torch.float32
    compile: bool = False
    hold_out: float = 0.04
    team: Team = ALONE


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Settings that all recipes have.

    Attributes:
        steps: Optimiser steps.
        batch: Pictures per step, of all processes together.
        learning_rate: Peak of the rate, reached after ``warmup`` steps.
        warmup: Steps of linear warm-up.
        weight_decay: Decoupled weight decay of convolutions and linear maps.
        clip: Largest norm of a step's gradient.
        ema: Decay of the averaged weights, which are those that ship.
        save_every: Steps between checkpoints.
        validate_every: Steps between validations.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    steps: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)] = 8
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    warmup: Annotated[int, Field(ge=0)] = 200
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip: Annotated[float, Field(gt=0)] = 1.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.999
    save_every: Annotated[int, Field(ge=1)] = 500
    validate_every: Annotated[int, Field(ge=1)] = 1000


RecipeT = TypeVar("RecipeT", bound=Schedule)
NetworkT = TypeVar("NetworkT", bound=nn.Module)


class Trainer(ABC, Generic[RecipeT, NetworkT]):
    """One training run, from its seed or from its checkpoint.

    Every random choice is a function of (seed, step), and the checkpoint holds everything else, so
    that on a CPU a run that was killed and resumed ends with the same bits as one that was not.
    In several processes each computes a part of every batch, see ``parallel``; the losses are those
    of one process but for rounding, and a run may be resumed by another number of processes.
    Subclasses bring data and losses; they set their fields before they call this constructor.

    Args:
        recipe: What to do.
        model: The untrained network.
        place: Where and how.
        resume: Continue from the checkpoint in ``place.out``.

    Raises:
        UsageError: The folder holds a run already, or the recipe or data to resume have changed.
        WeightsError: The checkpoint to resume is missing, torn or foreign.
    """

    def __init__(self, recipe: RecipeT, model: NetworkT, place: Place, *, resume: bool) -> None:
        self.recipe, self.place = recipe, place
        self.step, self.seconds = 0, 0.0
        moved: NetworkT = model.to(device=place.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = moved.train()
        self.joint = place.team.share(recipe.batch)
        self.optimiser = self._optimiser()
        checkpoint = place.out / _CHECKPOINT
        if not resume:
            if checkpoint.exists():
                raise UsageError(
                    f"{checkpoint}: a run lies here; resume it or choose another folder"
                )
            place.out.mkdir(parents=True, exist_ok=True)
            self._begin()
        self.average = copy.deepcopy(self.model).eval().requires_grad_(requires_grad=False)
        self._resumed: dict[str, Any] = {}
        if resume:
            self._resumed = load_state(checkpoint, self._networks(), self.optimiser)
            self._check(checkpoint, self._resumed)
            self.step, self.seconds = self._resumed["step"], self._resumed["seconds"]
        for network in self._networks().values():
            place.team.align(network.state_dict().values())
        share_batch(self.model, self.joint)

    def run(self, on_step: Callable[[], object] = lambda: None) -> None:
        """Train to the end of the recipe; call ``on_step`` after every step."""
        with self._log() as log:
            while self.step < self.recipe.steps:
                started = time.monotonic()
                terms = self._advance()
                self.seconds += time.monotonic() - started
                if log is not None:
                    self._record(log, terms)
                on_step()

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.recipe.steps

    def finish(self) -> Path:
        """Write the product of the run, where training did not write it; return its path."""
        return self.place.out / "weights.safetensors"

    def save(self) -> None:
        """Write the checkpoint, and what can be loaded of the averaged weights at any time."""
        scalars = {**self._describe(), "step": self.step, "seconds": self.seconds, **self._keep()}
        save_state(self.place.out / _CHECKPOINT, self._networks(), self.optimiser, scalars)
        self._write(scalars)

    @abstractmethod
    def _losses(self) -> dict[str, Tensor]:
        """Return the weighted terms of this step's batch and their sum as ``total``.

        The terms are of the whole batch: ``self.joint`` gathers what the processes made of it.
        """

    def _optimiser(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.model.parameters(), weight_decay=self.recipe.weight_decay)

    @abstractmethod
    def _rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""

    def _begin(self) -> None:
        """Prepare the initial weights of a new run."""

    def _learned(self) -> None:
        """Follow up an optimiser step."""

    def _keep(self) -> dict[str, Any]:
        """Save what belongs to the run beside its networks; return scalars that find it again."""
        return {}

    def _write(self, scalars: Mapping[str, Any]) -> None:
        """Write the averaged weights for use."""

    def _validate(self, sheet: Path) -> dict[str, float]:  # noqa: ARG002
        """Return terms on what was held out, and draw its sheet; nothing by default."""
        return {}

    def _networks(self) -> dict[str, nn.Module]:
        """Return all networks of the run that learn."""
        return {"model": self.model, "average": self.average}

    def _counts(self) -> dict[str, int]:
        """Return how much there is to learn from; a resumed run must find the same."""
        return {}

    def _extra(self) -> dict[str, Any]:
        """Return further values for a log entry."""
        return {}

    def _describe(self) -> dict[str, Any]:
        recipe = json.loads(json.dumps(dataclasses.asdict(self.recipe)))
        return {"recipe": recipe, "seed": self.place.seed, **self._counts()}

    def _check(self, path: Path, scalars: Mapping[str, Any]) -> None:
        """Refuse a checkpoint of another recipe, seed or data."""
        for key, value in self._describe().items():
            if scalars[key] != value:
                raise UsageError(
                    f"{path}: trained with {key} = {scalars[key]!r}, now {value!r}; "
                    "resume with the same or start a new run"
                )

    def _autocast(self) -> torch.autocast:
        half = self.place.precision != torch.float32
        kind = torch.device(self.place.device).type
        return torch.autocast(kind, dtype=self.place.precision, enabled=half)

    def _advance(self) -> dict[str, Tensor]:
        """Do one step: update the network and its average."""
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate(self.step) * group.get("share", 1.0)
        terms = self._losses()
        self.optimiser.zero_grad(set_to_none=True)
        terms["total"].backward()  # type: ignore[no-untyped-call]
        self.place.team.mean_gradients(self.model.parameters())
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimiser.step()
        update_average(
            self.average, self.model, min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        )
        self._learned()
        self.step += 1
        return {**terms, "gradient_norm": norm}

    def _log(self) -> AbstractContextManager[RunLog | None]:
        """Open the log of the run; only one process has it."""
        if not self.place.team.leads:
            return nullcontext()
        recipe = json.dumps(self._describe(), indent=2)
        (self.place.out / "recipe.json").write_text(recipe + "\n")
        return RunLog(self.place.out, self.step)

    def _record(self, log: RunLog, terms: Mapping[str, Tensor]) -> None:
        """Log, save and validate where it is time to."""
        if self.step % _LOG_EVERY == 0:
            log.add(self._entry(terms))
        last = self.step == self.recipe.steps
        if last or self.step % self.recipe.save_every == 0:
            self.save()
        if last or self.step % self.recipe.validate_every == 0:
            self._log_validation(log)

    def _entry(self, terms: Mapping[str, Tensor]) -> dict[str, Any]:
        return {
            "step": self.step,
            "seconds": round(self.seconds, 1),
            "rate": self._rate(self.step - 1),
            **{name: round(float(value.detach()), 5) for name, value in terms.items()},
            **self._extra(),
        }

    def _log_validation(self, log: RunLog) -> None:
        sheet = self.place.out / "sheets" / f"{self.step:06d}.png"
        if terms := self._validate(sheet):
            log.add({"step": self.step, "validation": terms})
            log.add_sheet(self.step, sheet)


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move averaged parameters and buffers towards the model's."""
    for kept, new in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if kept.is_floating_point():
            kept.lerp_(new, 1 - decay)
        else:
            kept.copy_(new)
