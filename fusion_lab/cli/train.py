"""``fusion train``: train a network by its recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from fusion_core.errors import UsageError

if TYPE_CHECKING:
    from fusion_lab.training import Place
    from fusion_lab.training.parallel import Team


@dataclass(frozen=True)
class Train:
    """Train a network on registered pairs; a killed run continues with --resume.

    The recipe names the trainer and holds all settings. OUT receives weights.safetensors (averaged
    weights, loadable at any time), log.jsonl, recipe.json, sheets/ with pictures of held-out
    scenes, and the checkpoint; a detector is written as ONNX at the end. On several GPUs or CPUs:
    torchrun --nproc-per-node N --no-python fusion train ...
    """

    model: Annotated[str, tyro.conf.arg(metavar="NAME")]
    """Network to train; a wrong name lists the recipes that ship."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the run."""
    data: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="DIR [DIR ...]")] = ()
    """Folders with vi/ and ir/ of equal stems, or vi.mp4 and ir.mp4, or folders of clips that hold
    them; labels/ and masks/ beside them where the network needs these. The one folder that holds
    all others, where the recipe names the folders of its tasks. Text is learned without any."""
    resume: bool = False
    """Continue from the checkpoint in the folder of the run."""
    init: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Start from these weights of the same network (fine-tuning), a detector from
    yolox_nano.onnx; default: from scratch."""
    recipe: Annotated[str, tyro.conf.arg(metavar="NAME|FILE")] = ""
    """Another recipe for the network: one that ships, or a YAML file."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Optimiser steps; default: the recipe's."""
    seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Seed of weights, crops and validation split."""
    threads: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """CPU threads; 0: all cores."""
    ablation: Annotated[str, tyro.conf.arg(metavar="NAME")] = ""
    """Take one part out; a wrong name lists those of the network."""
    prior: Literal["embedded", "clip", "blip2", "none"] | None = None
    """Provider whose tokens a restoring network sees; default: the recipe's."""
    kind: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = ()
    """Degradations that a restoring network learns to undo; default: all, mixed."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto: cuda when present."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type the network computes in; auto: bfloat16 where the hardware multiplies it fast."""
    compile: bool = False
    """Let torch compile the network: about twice as fast on a CPU, needs a C++ compiler."""

    def run(self) -> int:
        """Train to the end of the recipe, with a progress bar."""
        import torch
        from tqdm import tqdm

        from fusion_lab.training import TrainingRequest, start_training
        from fusion_lab.training.parallel import joined

        self._check_outputs()
        if self.threads < 0:
            raise UsageError(f"--threads {self.threads}: must be at least 0")
        if self.threads:
            torch.set_num_threads(self.threads)
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        with joined(device) as (team, own_device):
            request = TrainingRequest(
                model=self.model,
                data=self.data,
                place=self._place(own_device, team),
                recipe=self.recipe,
                steps=self.steps,
                resume=self.resume,
                init=self.init,
                ablation=self.ablation,
                prior=self.prior,
                kind=self.kind,
            )
            training = start_training(request)
            with tqdm(
                total=training.steps,
                initial=training.step,
                unit="step",
                desc=self.model,
                disable=not team.leads,
            ) as bar:
                training.run(bar.update)
            if team.leads:
                print(f"{training.finish()}: {training.step} steps, {training.seconds:.0f} s")
        return 0

    def _check_outputs(self) -> None:
        """Refuse to replace the data, or what the run starts from, with what it writes."""
        from fusion_lab.cli.paths import check_outputs

        start = None if self.resume else self.init
        recipe = self.recipe if Path(self.recipe).is_file() else ""
        names = ("weights.safetensors", "checkpoint.safetensors", "recipe.json", "log.jsonl")
        outputs = [self.out, *(self.out / name for name in names)]
        check_outputs(self.data, [start, recipe], outputs)

    def _place(self, device: str, team: Team) -> Place:
        import torch

        from fusion_core.engine import fast_precision
        from fusion_lab.training import Place

        precision = (
            fast_precision(device) if self.precision == "auto" else getattr(torch, self.precision)
        )
        return Place(self.out, self.seed, device, precision, self.compile, team=team)
