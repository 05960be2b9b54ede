"""Run some steps of every trainer, in one process or in those of torchrun, and write the losses.

python steps_of_all_trainers.py PAIRS OUT    OUT receives a folder per case, and losses-RANK.json.
"""

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import torch

from fusion_core.priors.embedded import EmbeddedProvider
from fusion_lab.data import Needs, read_examples
from fusion_lab.training import Place
from fusion_lab.training.detector import DetectionPool, DetectorRecipe, DetectorTrainer
from fusion_lab.training.detector.crops import Sampling
from fusion_lab.training.fusion import FusionTrainer, load_fusion_recipe
from fusion_lab.training.objective import LossWeights
from fusion_lab.training.parallel import joined
from fusion_lab.training.priors import PriorRecipe
from fusion_lab.training.priors.bases import load_bases
from fusion_lab.training.priors.loop import PriorTraining, fit
from fusion_lab.training.prompting import PromptTrainer, load_prompt_recipe
from fusion_lab.training.restoring import RestoringTrainer, load_restoring_recipe

BATCH = 5  # two processes cannot share it evenly
SMALL = {"batch": BATCH, "warmup": 2}
MDAIF = {
    "widths": (8, 8, 16, 16),
    "heads": (1, 1, 2, 2),
    "dim": 16,
    "stem": 8,
    "decoder": (16, 16, 8, 8),
    "blocks": 1,
}


def fusion(folder, place, score):
    recipe = dataclasses.replace(
        load_fusion_recipe("m2pn-edge", steps=6),
        crop=32,
        quality_score=score,
        loss=LossWeights(complement=1.0, overshoot=1.0, halo=1.0, brighter=1.0),
        **SMALL,
    )
    return FusionTrainer(recipe, read_examples([folder], needs=Needs(luma=True)), place)


def prompting(folder, place):
    recipe = dataclasses.replace(
        load_prompt_recipe("ctrlfuse", steps=4), crop=64, reference_share=0.5, **SMALL
    )
    examples = read_examples([folder], needs=Needs(labels=True, mask=True))
    return PromptTrainer(recipe, examples, place)


def restoring(folder, place, router):
    network = {**MDAIF, "router": router}
    recipe = dataclasses.replace(
        load_restoring_recipe("mdaif", steps=4, network=network),
        crop=64,
        pool=6,
        fresh=1,
        **SMALL,
    )
    trainer = RestoringTrainer(recipe, read_examples([folder]), EmbeddedProvider(), place)
    # Heads of zeros return the sources themselves, where the absolute differences of the losses
    # have no derivative: roundings, which depend on the size of the batch, would decide its sign.
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in trainer.model.named_parameters():
            if ".head." in name:
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return trainer


def detector(folder, place):
    recipe = DetectorRecipe(
        steps=4,
        rendered_seeds=0,
        input=(128, 160),
        sampling=Sampling(size=96, fitted=(128, 160)),
        **SMALL,
    )
    examples = read_examples([folder], needs=Needs(labels=True))
    return DetectorTrainer(recipe, DetectionPool(examples), place)


CASES = {
    "fusion": lambda folder, place: fusion(folder, place, "handcrafted"),
    "discriminator": lambda folder, place: fusion(folder, place, "discriminator"),
    "prompting": prompting,
    "restoring": lambda folder, place: restoring(folder, place, "image"),
    "pixel-router": lambda folder, place: restoring(folder, place, "pixel"),
    "detector": detector,
}


def losses_of(trainer):
    """Return every term of every step, and the running values that steps leave behind."""
    steps = []
    for _ in range(4):
        terms = trainer._advance()
        steps.append({name: float(value.detach()) for name, value in terms.items()})
    if hasattr(trainer, "bank"):
        steps.append({"memory": float(np.linalg.norm(trainer.bank.slots))})
        steps.append({"accepted": trainer.bank.stats().accepted})
    running = [value for name, value in trainer.model.named_buffers() if "gate." in name]
    if running:
        steps.append({"gates": float(torch.cat([value.flatten() for value in running]).norm())})
    return steps


def prior_losses(folder, team, out):
    recipe = PriorRecipe(steps=4, batch=BATCH, samples=7)
    training = PriorTraining(recipe, (), out, 0, team)
    samples = training._samples(load_bases([folder]), "visible", recipe.samples, 0)
    losses = []
    fit("visible", samples, recipe, 0, losses.append, team=team)
    return [{"total": loss} for loss in losses]


def main(folder, out):
    torch.set_num_threads(1)
    with joined("cpu") as (team, _):
        found = {}
        for name, build in CASES.items():
            place = Place(out / name, seed=5, hold_out=0.3, team=team)
            found[name] = losses_of(build(folder, place))
        found["prior"] = prior_losses(folder, team, out)
        (out / f"losses-{team.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
