"""Networks that were trained with a part taken out, compared on pictures not trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from fusion_core.errors import UsageError
from fusion_core.models import Fuser, load_model
from fusion_core.types import FloatImage, UInt8Image
from fusion_lab.benches.command import BenchCommand
from fusion_lab.benches.ctrlfuse.data import SETS, MaskedPair, read_masked, spread_evenly
from fusion_lab.benches.ctrlfuse.effects import (
    EFFECT_HEAD,
    PROMPTS,
    MaskEffect,
    fuse_prompted,
    mean_effect,
)
from fusion_lab.benches.networks import pair_fuser
from fusion_lab.benches.progress import with_progress
from fusion_lab.benches.restoring.comparison import Comparison, compare
from fusion_lab.benches.restoring.methods import Method
from fusion_lab.benches.restoring.pictures import read_degraded
from fusion_lab.benches.tables import Cell, Table
from fusion_lab.benches.wishing.bench import TaskComparison
from fusion_lab.benches.wishing.bench import compare as compare_methods
from fusion_lab.benches.wishing.cases import read_cases
from fusion_lab.benches.wishing.methods import follower
from fusion_lab.metrics import compute_all

_PROMPTS = ("true", "boxes")
_QUALITY = ("MI", "SCD", "VIF", "Qabf", "SSIM")


@dataclass(frozen=True, slots=True)
class PromptingCase:
    """One network that takes masks.

    Attributes:
        effects: Kind of prompt -> its mean effect.
        quality: Metric -> mean over the fusions without a mask.
    """

    effects: Mapping[str, MaskEffect]
    quality: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PromptingAblations:
    """Networks that take masks, by case."""

    cases: Mapping[str, PromptingCase]

    def tables(self) -> list[Table]:
        """Return the effect of masks, and the quality without one."""
        effects = tuple(
            (name, prompt, *effect.cells())
            for name, case in self.cases.items()
            for prompt, effect in case.effects.items()
        )
        quality: tuple[tuple[Cell, ...], ...] = tuple(
            (name, *case.quality.values()) for name, case in self.cases.items()
        )
        return [
            Table("With a mask", ("case", "prompt", *EFFECT_HEAD), effects),
            Table("Without a mask", ("case", *_QUALITY), quality, digits=3),
        ]


@dataclass(frozen=True, slots=True)
class AblationsResult:
    """Figures of one family of networks."""

    prompting: PromptingAblations | None = None
    restoring: Comparison | None = None
    wishing: TaskComparison | None = None

    def tables(self) -> Sequence[Table]:
        """Return the tables of the family."""
        parts = (self.prompting, self.restoring, self.wishing)
        return [table for part in parts if part is not None for table in part.tables()]


@dataclass(frozen=True, kw_only=True)
class AblationsBench(BenchCommand):
    """Compare networks that were trained with a part taken out.

    The runs are folders of `fusion train --model NAME --ablation CASE`, named after the case.
    ctrlfuse: what a mask does, what the segmenter finds, and the fusion without a mask, on msrs,
    llvip and video/0117_1620. mdaif: likeness to clean pictures on the fixed degraded test set.
    mmaif: visible and thermal pairs of `fusion bench wishing`, with the right sentence.
    """

    network: tyro.conf.Positional[Literal["ctrlfuse", "mdaif", "mmaif"]]
    """Family of the networks."""
    data: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the recordings."""
    runs: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the runs, each with weights.safetensors."""
    limit: Annotated[int, tyro.conf.arg(metavar="N")] = 8
    """Pictures per set, for ctrlfuse."""
    every: Annotated[int, tyro.conf.arg(metavar="N")] = 4
    """Use every n-th pair of the test set, for mdaif and mmaif."""

    def measure(self) -> AblationsResult:
        """Run all networks on the same pictures."""
        models = load_runs(self.runs)
        if self.network == "mdaif":
            methods = {
                name: Method(pair_fuser(model, with_prior=True)) for name, model in models.items()
            }
            return AblationsResult(restoring=compare(methods, read_degraded(self.data, self.every)))
        if self.network == "mmaif":
            return AblationsResult(wishing=compare_wishing(models, self.data, self.every))
        pairs = [
            pair
            for name in SETS
            for pair in spread_evenly(read_masked(self.data / name), self.limit)
        ]
        return AblationsResult(prompting=compare_prompting(models, pairs))


def load_runs(folder: Path) -> dict[str, Fuser]:
    """Load the trained network of every run below a folder, by the run's name.

    Raises:
        UsageError: There is none.
    """
    files = sorted(folder.glob("*/weights.safetensors"))
    if not files:
        raise UsageError(f"{folder}: no runs; expected CASE/weights.safetensors of `fusion train`")
    return {file.parent.name: load_model(str(file)) for file in files}


def compare_prompting(
    models: Mapping[str, Fuser], pairs: Sequence[MaskedPair]
) -> PromptingAblations:
    """Run networks that take masks on the same pairs."""
    cases = {}
    for name in with_progress(list(models), "cases"):
        model = models[name]
        effects = {prompt: mean_effect(model, pairs, PROMPTS[prompt]) for prompt in _PROMPTS}
        cases[name] = PromptingCase(effects, quality_without_mask(model, pairs))
    return PromptingAblations(cases)


def compare_wishing(models: Mapping[str, Fuser], data: Path, every: int) -> TaskComparison:
    """Let networks that follow a sentence fuse the same degraded pairs."""
    cases = with_progress(list(read_cases(data, "vif", every)), "pairs")
    return compare_methods("vif", {name: follower(model) for name, model in models.items()}, cases)


def quality_without_mask(model: Fuser, pairs: Iterable[MaskedPair]) -> dict[str, float]:
    """Return metrics of the fusion without a mask, means over the pairs."""
    scores = []
    for pair in pairs:
        reference = fuse_prompted(model, pair, pair.target()).reference
        thermal, visible = (np.ascontiguousarray(pair.planes[..., plane]) for plane in (0, 1))
        scores.append(compute_all(_pixels(reference), (thermal, visible), _QUALITY))
    return {name: float(np.mean([score[name] for score in scores])) for name in _QUALITY}


def _pixels(image: FloatImage) -> UInt8Image:
    return np.rint(255 * image).clip(0, 255).astype(np.uint8)
