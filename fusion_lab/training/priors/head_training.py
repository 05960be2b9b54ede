"""The run that fits the heads of the embedded network."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import torch

from fusion_core.priors.checkpoint import SHIPPED, load_prior, save_prior
from fusion_lab.training.priors.heads import (
    HeadsRecipe,
    calibrate_heads,
    fit_heads,
    leave_places_out,
    read_bases,
    read_means,
)


class HeadsTraining:
    """Fit and calibration of the visible network's heads; the thermal network stays.

    Args:
        recipe: What to do.
        data: Folders of recorded pictures.
        out: Folder of the run; receives ``embedded.safetensors``.
        seed: Seed of the samples and of the fits.
        init: Checkpoint whose tokens the heads take; the shipped one when None.
    """

    def __init__(
        self,
        recipe: HeadsRecipe,
        data: tuple[Path, ...],
        out: Path,
        seed: int,
        init: Path | None = None,
    ) -> None:
        self.step, self.seconds = 0, 0.0
        self._recipe, self._out, self._seed = recipe, out, seed
        self._nets = load_prior(init or SHIPPED)
        self._bases = read_bases(data, recipe)

    @property
    def steps(self) -> int:
        """Steps of the fit to all places."""
        return self._recipe.steps

    def run(self, on_step: Callable[[], object] = lambda: None) -> None:
        """Fit, calibrate on places left out, and write; call ``on_step`` for every step."""
        start = time.perf_counter()
        visible, thermal = self._nets
        recipe, seed = self._recipe, self._seed
        means = read_means(visible, self._bases, recipe, seed)
        logits = torch.full_like(means.labels, float("nan"))
        for _, rows, found in leave_places_out(visible, means, recipe, seed):
            logits[rows] = found
        seen = ~logits.isnan().any(1)
        fitted = fit_heads(visible, means, recipe, seed)
        calibrate_heads(fitted, logits[seen], means.rows(seen), recipe)
        about = {"recipe": dataclasses.asdict(recipe), "seed": seed, "bases": len(self._bases)}
        save_prior(fitted, thermal, self.finish(), about)
        for _ in range(self.steps):
            self.step += 1
            on_step()
        self.seconds = time.perf_counter() - start

    def finish(self) -> Path:
        """Return the file of the weights."""
        return self._out / "embedded.safetensors"
