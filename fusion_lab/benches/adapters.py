"""Variants of TC-MoA's adapters, and of what they stand on, trained under one small budget."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import numpy as np
import torch
import tyro

from fusion_core.models.colour import luma_of
from fusion_core.models.tcmoa import TCMoA
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.mechanisms.bypass import Sample
from fusion_lab.benches.mechanisms.tcmoa import sample_of
from fusion_lab.benches.progress import with_progress
from fusion_lab.benches.tables import Cell, Table
from fusion_lab.data import Example, FusionTask, list_pairs, read_example
from fusion_lab.metrics import compute_all
from fusion_lab.training import Place
from fusion_lab.training.adapting import AdaptingRecipe, AdaptingTrainer, load_adapting_recipe
from fusion_lab.training.adapting.recipe import ABLATIONS, SINGLE

_FIGURES: Final[Mapping[str, tuple[str, ...]]] = {
    "vif": ("Qabf", "VIF"),
    "mef": ("MEF_SSIM_2015", "Qabf"),
    "mff": ("NMI", "Qabf"),
}
_UNMADE: Final = "decoder"  # paints pictures: no such budget teaches it that
_HELD_OUT: Final = 4  # every so many-th pair


class Split(NamedTuple):
    """Pairs of the tasks.

    Attributes:
        training: Task -> pairs to train on.
        held_out: Pairs to score, reduced to one size.
    """

    training: Mapping[FusionTask, Sequence[Example]]
    held_out: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class AdapterCase:
    """One trained variant.

    Attributes:
        case: Its name.
        trained: Parameters that are trained.
        figures: ``task METRIC`` -> mean over held-out pairs; NaN for a task that was not trained.
    """

    case: str
    trained: int
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class AdaptersResult:
    """All variants."""

    steps: int
    cases: tuple[AdapterCase, ...]

    def tables(self) -> Sequence[Table]:
        """Return one table, a row per variant."""
        head = ("case", "trained", *self.cases[0].figures)
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (case.case, case.trained, *case.figures.values()) for case in self.cases
        )
        return [Table(f"After {self.steps} steps each, held-out pairs", head, rows, digits=3)]


@dataclass(frozen=True, kw_only=True)
class AdaptersBench(BenchCommand):
    """Train variants of tcmoa from shared initial tensors under one small budget; score them.

    The variants are those of `fusion train --model tcmoa --ablation`, or, with --mae, the full
    network on other masked autoencoders. Pairs to score are held out, and reduced to 320x240. So
    short a training ranks what is learned fast, not what is best in the end.
    """

    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the recordings."""
    mae: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE [FILE ...]")] = ()
    """Weights of masked autoencoders to compare."""
    steps: Annotated[int, tyro.conf.arg(metavar="N")] = 60
    """Steps of each training, one task per step in turn."""
    crop: Annotated[int, tyro.conf.arg(metavar="PX")] = 128
    """Edge of the crops."""
    pairs: Annotated[int, tyro.conf.arg(metavar="N")] = 24
    """Pairs of each task; every fourth is held out."""
    seed: int = 0
    """Seed of initial weights and crops."""

    def measure(self) -> AdaptersResult:
        """Train and score all variants."""
        names = [self._recipe("", str(path)) for path in self.mae] or [
            self._recipe(ablation) for ablation in variants()
        ]
        pairs = read_split(self.data, names[0][1], self.pairs)
        return AdaptersResult(
            self.steps,
            tuple(
                train_case(title, recipe, pairs, self.seed)
                for title, recipe in with_progress(names, "variants")
            ),
        )

    def _recipe(self, ablation: str, mae: str = "") -> tuple[str, AdaptingRecipe]:
        recipe = load_adapting_recipe(
            "tcmoa", ablation, steps=self.steps, crop=self.crop, learning_rate=3e-3, ema=0.9
        )
        tasks = {
            task: replace(part, loss=replace(part.loss, agreement=2.0))
            for task, part in recipe.tasks.items()
        }
        title = Path(mae).stem if mae else ablation or "full"
        return title, replace(recipe, tasks=tasks, mae=mae)


def variants() -> list[str]:
    """Return the ablations of the published experiments, the full network first."""
    single = [f"{SINGLE}{task}" for task in _FIGURES]
    return [*(name for name in ABLATIONS if name != _UNMADE), *single]


def read_split(data: Path, recipe: AdaptingRecipe, count: int) -> Split:
    """Read some pairs of each task, spread over its folders.

    Args:
        data: Folder of the recordings.
        recipe: Names the folders of the tasks.
        count: Pairs of each task.
    """
    training: dict[FusionTask, list[Example]] = {}
    held_out = []
    for task, part in recipe.tasks.items():
        files = list_pairs([data / folder for folder in part.data], task)
        chosen = np.linspace(0, len(files) - 1, min(count, len(files))).astype(int)
        examples = [read_example(files[index]) for index in chosen]
        last = _HELD_OUT - 1
        training[task] = [e for n, e in enumerate(examples) if n % _HELD_OUT != last]
        held_out += [sample_of(e.first, e.second, task) for e in examples[last::_HELD_OUT]]
    return Split(training, held_out)


def train_case(title: str, recipe: AdaptingRecipe, pairs: Split, seed: int) -> AdapterCase:
    """Train one variant and score it on the pairs that are held out."""
    training = {task: pairs.training[task] for task in recipe.tasks}
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), seed, hold_out=0.0)
        trainer = AdaptingTrainer(recipe, training, {}, place)
        trainer.run()
    found = score(trainer.average, [s for s in pairs.held_out if s.kind in recipe.tasks])
    names = [f"{task} {metric}" for task, metrics in _FIGURES.items() for metric in metrics]
    figures = {name: found.get(name, float("nan")) for name in names}
    return AdapterCase(title, trainer.model.parameter_count(), figures)


@torch.inference_mode()
def score(network: TCMoA, samples: Sequence[Sample]) -> dict[str, float]:
    """Return ``task METRIC`` -> mean over the samples of the task."""
    found: dict[str, list[float]] = {}
    for sample in samples:
        made = network.decide((sample.visible, sample.thermal), sample.cues).image.clamp(0, 1)
        pixels = luma_of(made)[0, 0].mul(255).round().byte().numpy()
        metrics = compute_all(pixels, sample.reference, _FIGURES[sample.cues.task])
        for name, value in metrics.items():
            found.setdefault(f"{sample.kind} {name}", []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}
