"""``fusion train``: train a fusion network from scratch by its recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from fusion_core.errors import UsageError


@dataclass(frozen=True)
class Train:
    """Train a network on registered pairs; a killed run goes on with --resume.

    OUT receives weights.safetensors (averaged weights, loadable at any time), log.jsonl,
    recipe.json, sheets/ with pictures of held-out scenes, and the checkpoint.
    """

    model: Annotated[str, tyro.conf.arg(metavar="NAME")]
    """Network to train, one of `fusion models`; its recipe ships with the package."""
    data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR [DIR ...]")]
    """Folders with vi/ and ir/ of equal stems, or folders of clips that hold them."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the run."""
    resume: bool = False
    """Go on from the checkpoint in the folder of the run."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Optimiser steps; default: the recipe's."""
    seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Seed of weights, crops and validation split."""
    threads: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """CPU threads; 0: all cores."""
    ablation: Annotated[str, tyro.conf.arg(metavar="NAME")] = ""
    """Take one part out: no-memory, no-graph, no-prompts, ...; a wrong name lists all."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto: cuda when present."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type the network computes in; auto: bfloat16 where the hardware multiplies it fast."""
    compile: bool = False
    """Let torch compile the network: about twice as fast on a CPU, needs a C++ compiler."""

    def run(self) -> int:
        """Train to the end of the recipe."""
        import torch
        from tqdm import tqdm

        from fusion_core.training import Place, Trainer, fast_precision, load_pairs, load_recipe

        if self.threads < 0:
            raise UsageError(f"--threads {self.threads}: must be at least 0")
        if self.threads:
            torch.set_num_threads(self.threads)
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        precision = (
            fast_precision(device) if self.precision == "auto" else getattr(torch, self.precision)
        )
        recipe = load_recipe(self.model, self.ablation, steps=self.steps)
        place = Place(self.out, self.seed, device, precision, self.compile)
        trainer = Trainer(recipe, load_pairs(self.data), place, resume=self.resume)
        with tqdm(total=recipe.steps, initial=trainer.step, unit="step", desc=self.model) as bar:
            trainer.run(bar.update)
        print(f"{self.out / 'weights.safetensors'}: {trainer.step} steps, {trainer.seconds:.0f} s")
        return 0
