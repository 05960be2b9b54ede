"""Trainers by the name that recipes give them, found through entry points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from fusion_core.errors import UsageError
from fusion_core.plugins import load_plugin
from fusion_lab.training.loop import Place
from fusion_lab.training.recipe import trainer_of

TRAINERS: Final = "fusion.trainers"


@dataclass(frozen=True, slots=True)
class TrainingRequest:
    """One call of ``fusion train``.

    Attributes:
        model: Network to train.
        data: Folders of pairs.
        place: Where and how to compute.
        recipe: Another recipe than the network's own: one that ships, or a YAML file.
        steps: Optimiser steps; None: the recipe's.
        resume: Continue from the checkpoint in ``place.out``.
        init: Weights to start from.
        ablation: Part to take out.
        prior: Provider whose tokens the network sees.
        kind: Degradations to draw from.
    """

    model: str
    data: tuple[Path, ...]
    place: Place
    recipe: str = ""
    steps: int | None = None
    resume: bool = False
    init: Path | None = None
    ablation: str = ""
    prior: str | None = None
    kind: tuple[str, ...] = ()

    @property
    def compile(self) -> bool:
        """Whether torch shall compile the network."""
        return self.place.compile

    def overrides(self) -> dict[str, Any]:
        """Return the recipe to read, and the values that win over those in it."""
        init = str(self.init) if self.init else None
        return {"source": self.recipe, "steps": self.steps, "init": init}


class TrainingRun(Protocol):
    """A run that is ready to train."""

    step: int
    seconds: float

    @property
    def steps(self) -> int:
        """Steps of the whole run."""

    def run(self, on_step: Callable[[], object]) -> None:
        """Train to the end; call ``on_step`` after every step."""

    def finish(self) -> Path:
        """Write the product of the run, where training did not write it; return its path."""


@dataclass(frozen=True, slots=True)
class TrainerPlugin:
    """One trainer; an entry point of the group ``fusion.trainers`` leads to it.

    Attributes:
        options: Fields of ``TrainingRequest`` that it takes, of ``OPTIONS``.
        start: Reads recipe and data of a request, and returns the run.
        parallel: Whether it trains in the several processes of ``Place.team``.
        needs_data: Whether it learns from pictures.
    """

    options: frozenset[str]
    start: Callable[[TrainingRequest], TrainingRun]
    parallel: bool = False
    needs_data: bool = True


OPTIONS: Final = ("resume", "init", "ablation", "prior", "kind", "compile")
"""Fields of ``TrainingRequest`` that only some trainers take."""


def start_training(request: TrainingRequest) -> TrainingRun:
    """Return the run of the trainer that the recipe names.

    Raises:
        UsageError: No such recipe or trainer, or the trainer does not take an option given.
        ConfigError: The recipe is malformed.
        SourceError: The data are missing, torn or not those that the trainer needs.
    """
    name = trainer_of(request.recipe or request.model)
    plugin: TrainerPlugin = load_plugin(TRAINERS, name, TrainerPlugin)
    for option in OPTIONS:
        value = getattr(request, option)
        if value and option not in plugin.options:
            raise UsageError(
                f"--{option} {value}: not for {request.model} (trainer {name}); leave it out"
            )
    if plugin.needs_data and not request.data:
        raise UsageError(
            f"{request.model} learns from pictures: give their folders with --data DIR"
        )
    team = request.place.team
    if team.size > 1 and not plugin.parallel:
        raise UsageError(
            f"{team.size} processes: trainer {name} of {request.model} trains in one; "
            "start it without torchrun"
        )
    return plugin.start(request)
