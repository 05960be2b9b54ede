"""The training loop of the detector."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.models.blocks.joint import WHOLE
from fusion_lab.training.detector.crops import Sampling, make_detection_batch
from fusion_lab.training.detector.export import export_onnx
from fusion_lab.training.detector.loss import pair_loss
from fusion_lab.training.detector.network import PairNano
from fusion_lab.training.detector.pool import DetectionPool
from fusion_lab.training.detector.pretrained import draw_back, load_initial
from fusion_lab.training.gathering import gather_parts
from fusion_lab.training.loop import Place, Schedule, Trainer
from fusion_lab.training.recipe import read_recipe


@dataclass(frozen=True, kw_only=True)
class DetectorRecipe(Schedule):
    """One training run.

    Attributes:
        model: Name of the detector.
        init: ONNX file of YOLOX-Nano, or of an earlier ``pair-nano``, whose weights the network
            starts from; empty: random ones.
        batch: Pictures per step.
        visible_share: Part of the learning rate for the visible backbone, whose pretrained weights
            come from more kinds of pictures than the recordings show.
        kept: Share of the initial weights in those that ship; they hold what the recordings do not
            show (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022, equation 1).
        decay: Share of the steps at the end in which the rate falls linearly to nothing.
        input: Height and width of the exported network's usual input, multiples of 32.
        large_input: Likewise of its input for large pictures; None: the usual one.
        rendered_seeds: Streets rendered to learn from beside the recordings.
        rendered_aerial: Pairs from the air rendered likewise.
        sampling: How pictures are drawn.
    """

    model: str = "pair-nano"
    init: str = ""
    steps: int = 4400
    batch: int = 8
    learning_rate: float = 2e-4
    visible_share: float = 0.3
    kept: float = 0.15
    warmup: int = 300
    decay: float = 0.4
    weight_decay: float = 0.03
    clip: float = 10.0
    save_every: int = 100
    input: tuple[int, int] = (448, 608)
    large_input: tuple[int, int] | None = (608, 800)
    rendered_seeds: int = 20
    rendered_aerial: int = 0
    sampling: Sampling = field(default_factory=Sampling)


def load_detector_recipe(model: str, *, source: str = "", **overrides: object) -> DetectorRecipe:
    """Read the recipe that ships for a detector, or another one.

    Args:
        model: Name of the detector.
        source: See :func:`fusion_lab.training.recipe.read_recipe`.
        overrides: Top-level values that win over the file's; None means not given.

    Raises:
        UsageError: There is no such recipe.
        ConfigError: The recipe or an override is malformed or out of range.
    """
    return read_recipe(DetectorRecipe, model, overrides, source=source)


class DetectorTrainer(Trainer[DetectorRecipe, PairNano]):
    """Trains ``pair-nano``; a killed run continues bit for bit.

    The learning rate is constant until its decay, so that a resumed run may be given another number
    of steps as long as the decay has not begun.

    Args:
        recipe: What to do.
        pool: Labelled pairs.
        place: Where and how.
        resume: Continue from the checkpoint in ``place.out``.

    Raises:
        UsageError: The folder holds a run already, or the recipe or data to resume have changed.
        WeightsError: The checkpoint to resume, or the file to start from, is missing, torn or
            foreign.
        MissingExtraError: Weights to start from are given, but the package ``onnx`` is missing.
    """

    def __init__(
        self, recipe: DetectorRecipe, pool: DetectionPool, place: Place, *, resume: bool = False
    ) -> None:
        self.pool = pool
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(place.seed)
            model = PairNano()
        self.features = torch.compile(model.features) if place.compile else model.features
        super().__init__(recipe, model, place, resume=resume)

    def finish(self) -> Path:
        """Write the averaged network, with its share of the initial one, as ONNX; return its path.

        Raises:
            MissingExtraError: The exporter's packages are not installed.
        """
        path = self.place.out / f"{self.recipe.model}.onnx"
        model = copy.deepcopy(self.average).cpu()
        if self.recipe.init:
            draw_back(model, load_initial(Path(self.recipe.init)), self.recipe.kept)
        recipe = self.recipe
        export_onnx(model, recipe.input, path, self._describe(), large=recipe.large_input)
        return path

    def _begin(self) -> None:
        if self.recipe.init:
            self.model.load_state_dict(load_initial(Path(self.recipe.init)), strict=False)

    def _losses(self) -> dict[str, Tensor]:
        recipe, place = self.recipe, self.place
        batch = make_detection_batch(
            self.pool, recipe.sampling, count=recipe.batch, seed=place.seed, step=self.step
        ).to(place.device)
        with self._autocast():
            features = self.features(self.joint.own(batch.images))
        features = self._gathered(features)
        return pair_loss(self.model.predict(features), batch.objects, batch.people)

    def _gathered(self, features: list[Tensor]) -> list[Tensor]:
        """Return the features of all rows of the batch: all of both cameras, all of thermal."""
        if self.joint is WHOLE:
            return features
        views = [view for scale in features for view in scale.chunk(2)]
        found = gather_parts(self.joint, views)
        return [torch.cat(pair) for pair in zip(found[::2], found[1::2], strict=True)]

    def _optimiser(self) -> torch.optim.Optimizer:
        recipe, visible = self.recipe, self.model.visible
        rest = [m for m in self.model.children() if m is not visible]
        slow = _groups([visible], recipe.weight_decay, recipe.visible_share)
        return torch.optim.AdamW(slow + _groups(rest, recipe.weight_decay, 1.0))

    def _rate(self, step: int) -> float:
        return learning_rate(self.recipe, step)

    def _counts(self) -> dict[str, int]:
        pool = self.pool
        return {
            "recorded": len(pool.recorded),
            "rendered": len(pool.rendered),
            "aerial": len(pool.aerial),
        }

    def _check(self, path: Path, scalars: Mapping[str, Any]) -> None:
        """Refuse a checkpoint of another recipe, seed or data; steps may change before decay."""
        before = scalars["recipe"]
        if scalars["step"] <= (1 - before["decay"]) * before["steps"]:
            scalars = {**scalars, "recipe": {**before, "steps": self.recipe.steps}}
        super()._check(path, scalars)


def learning_rate(recipe: DetectorRecipe, step: int) -> float:
    """Return the rate of a step (from 0): linear warm-up, constant, linear decay."""
    up = (step + 1) / max(1, recipe.warmup)
    down = (recipe.steps - step) / max(1.0, recipe.decay * recipe.steps)
    return recipe.learning_rate * min(1.0, up, down)


def _groups(
    modules: Sequence[nn.Module], weight_decay: float, share: float
) -> list[dict[str, Any]]:
    """Return the parameters for the optimiser; biases and normalisations do not decay."""
    parameters = [p for module in modules for p in module.parameters()]
    decaying, others = ([p for p in parameters if (p.ndim > 1) == big] for big in (True, False))
    return [
        {"params": decaying, "weight_decay": weight_decay, "share": share},
        {"params": others, "weight_decay": 0.0, "share": share},
    ]
