"""``fusion train``: train a fusion network, or the detector, by its recipe."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from fusion_core.errors import UsageError

if TYPE_CHECKING:
    from fusion_lab.training import Place
    from fusion_lab.training.loop import Trainer


@dataclass(frozen=True)
class Train:
    """Train a network on registered pairs; a killed run goes on with --resume.

    OUT receives weights.safetensors (averaged weights, loadable at any time), log.jsonl,
    recipe.json, sheets/ with pictures of held-out scenes, and the checkpoint. The detector
    pair-nano needs labels/ beside vi/ and ir/; OUT then receives pair-nano.onnx, log.jsonl,
    the rendered scenes it also learns from, and the checkpoint.
    """

    model: Annotated[str, tyro.conf.arg(metavar="NAME")]
    """Network to train: one of `fusion models`, pair-nano (the detector), prior (the embedded
    provider of scene priors) or restorer (restores without fusing, for comparisons); its recipe
    ships with it."""
    data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR [DIR ...]")]
    """Folders with vi/ and ir/ of equal stems, or folders of clips that hold them."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the run."""
    resume: bool = False
    """Go on from the checkpoint in the folder of the run."""
    init: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Start from these weights of the same network (fine-tuning), pair-nano from yolox_nano.onnx;
    default: from scratch."""
    recipe: Annotated[str, tyro.conf.arg(metavar="NAME|FILE")] = ""
    """Another recipe for a fusion network: one that ships, or a YAML file."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Optimiser steps; default: the recipe's."""
    seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Seed of weights, crops and validation split."""
    threads: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """CPU threads; 0: all cores."""
    ablation: Annotated[str, tyro.conf.arg(metavar="NAME")] = ""
    """Take one part out: no-memory, no-graph, no-prompts, ..., of mdaif no-dcam, ..., of ctrlfuse
    no-prompts, ...; a wrong name lists all."""
    prior: Literal["embedded", "clip", "blip2", "none"] | None = None
    """Provider whose tokens mdaif sees; default: the recipe's."""
    kind: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = ()
    """Degradations that mdaif learns to undo; default: all, mixed."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto: cuda when present."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type the network computes in; auto: bfloat16 where the hardware multiplies it fast."""
    compile: bool = False
    """Let torch compile the network: about twice as fast on a CPU, needs a C++ compiler."""

    def run(self) -> int:
        """Train to the end of the recipe."""
        import torch

        from fusion_core.engine import fast_precision
        from fusion_lab.training import Place

        if self.threads < 0:
            raise UsageError(f"--threads {self.threads}: must be at least 0")
        if self.threads:
            torch.set_num_threads(self.threads)
        if self.model == "prior":
            return self._train_prior()
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        precision = (
            fast_precision(device) if self.precision == "auto" else getattr(torch, self.precision)
        )
        place = Place(self.out, self.seed, device, precision, self.compile)
        if self.model == "pair-nano":
            return self._train_detector(place)
        if self.model in {"ctrlfuse", "ctrlfuse-full"}:
            return self._train_prompted(place)
        if self.model in {"mdaif", "mdaif-b1", "restorer"}:
            return self._train_restoring(place)
        return self._train_fuser(place)

    def _train_fuser(self, place: Place) -> int:
        from fusion_lab.training import FusionTrainer, load_pairs, load_recipe

        self._refuse("prior", "kind")
        recipe = load_recipe(self.model, self.ablation, **self._changes())
        trainer = FusionTrainer(recipe, load_pairs(self.data), place, resume=self.resume)
        return self._drive(trainer)

    def _train_prompted(self, place: Place) -> int:
        from fusion_lab.training.prompting import PromptTrainer, load_masked, load_prompt_recipe

        self._refuse("prior", "kind")
        recipe = load_prompt_recipe(self.model, self.ablation, **self._changes())
        trainer = PromptTrainer(recipe, load_masked(self.data), place, resume=self.resume)
        return self._drive(trainer)

    def _train_restoring(self, place: Place) -> int:
        from fusion_core.priors import PriorsConfig, open_provider
        from fusion_lab.training.restoring import (
            RestoringTrainer,
            load_pictures,
            load_restoring_recipe,
        )

        recipe = load_restoring_recipe(
            self.model, self.ablation, prior=self.prior, kinds=self.kind or None, **self._changes()
        )
        provider = None
        if recipe.prior != "none":
            provider = open_provider(recipe.prior, PriorsConfig(), place.device)
        pictures = load_pictures(self.data)
        trainer = RestoringTrainer(recipe, pictures, provider, place, resume=self.resume)
        return self._drive(trainer)

    def _train_detector(self, place: Place) -> int:
        from fusion_lab.training.detector import DetectorRecipe, DetectorTrainer, load_pool

        self._refuse("recipe", "ablation", "prior", "kind")
        if self.init and not self.init.is_file():
            raise UsageError(
                f"--init {self.init}: no such file; give yolox_nano.onnx of the YOLOX releases, or "
                "leave it out to start from random weights"
            )
        recipe = DetectorRecipe(init=str(self.init) if self.init else "")
        if self.steps is not None:
            recipe = replace(recipe, steps=self.steps)
        pool = load_pool(self.data, self.out / "rendered", recipe.rendered_seeds)
        trainer = DetectorTrainer(recipe, pool, place, resume=self.resume)
        code = self._drive(trainer)
        print(trainer.export())
        return code

    def _train_prior(self) -> int:
        """Train the embedded provider in one go, on the CPU."""
        from fusion_lab.training.priors import PriorRecipe, train_prior

        self._refuse("recipe", "resume", "ablation", "init", "compile", "prior", "kind")
        recipe = PriorRecipe() if self.steps is None else PriorRecipe(steps=self.steps)
        print(train_prior(self.data, self.out, recipe, self.seed))
        return 0

    def _changes(self) -> dict[str, Any]:
        """Return the recipe to read and what wins over it."""
        init = str(self.init) if self.init else None
        return {"source": self.recipe, "steps": self.steps, "init": init}

    def _refuse(self, *options: str) -> None:
        """Refuse options that mean nothing to this network."""
        for option in options:
            if given := getattr(self, option):
                raise UsageError(f"--{option} {given}: not for {self.model}; leave it out")

    def _drive(self, trainer: Trainer[Any, Any]) -> int:
        """Train to the end of the recipe, with a progress bar."""
        from tqdm import tqdm

        steps = trainer.recipe.steps
        with tqdm(total=steps, initial=trainer.step, unit="step", desc=self.model) as bar:
            trainer.run(bar.update)
        print(f"{self.out}: {trainer.step} steps, {trainer.seconds:.0f} s")
        return 0
