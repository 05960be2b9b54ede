"""Fit the heads of the embedded network, calibrated on places that the heads have not seen.

The tokens, which other networks read, stay as they are: only what classifies their mean and the
statistics is trained, from the beginning, so that heads do not depend on those before them: the
weights that ship give themselves back. Each place is left out once; the logits on the places left
out are what Platt's scaling is fitted to, because on pictures of its own places a network is surer
than on those of a robot that it has never seen.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import torch
from pydantic import ConfigDict
from torch import Tensor
from torch.nn import functional as F

from fusion_core.priors.kinds import VISIBLE_KINDS
from fusion_core.priors.network import PriorNet
from fusion_core.types import UInt8Image
from fusion_lab.data import FusionTask
from fusion_lab.training.degradations import sample_mixture
from fusion_lab.training.priors.bases import Base, load_bases, picture_bases, synthetic_bases
from fusion_lab.training.priors.loop import platt
from fusion_lab.training.priors.means import Means, join_means, look_at
from fusion_lab.training.priors.samples import Row, draw_sample, stack

SYNTHETIC: Final = "synthetic"
_CHUNK: Final = 200
_VEILS: Final = ("haze", "smoke")
# A veil below this severity is hardly seen: neither there nor not there.
_WEAK: Final = 0.5
# What some recordings show and others surely do not: calibrated on them as they are. The other
# kinds are known of made degradations only.
_RECORDED_KINDS: Final = ("low_light", "over_exposure", "smoke")


@dataclass(frozen=True)
class HeadsRecipe:
    """One refit of the heads of the visible network.

    Attributes:
        model: Name of the recipe.
        samples: Degraded pictures beside the recorded ones as they are.
        dense: Share of them with nothing but dense smoke or haze, by day.
        smoky: Share of smoke among these.
        rainy: Share of the others that hold rain in any case.
        rendered: Share of them from synthetic scenes.
        steps: Optimiser steps of each fit, of which there is one per place and one for all.
        batch: Samples per step.
        learning_rate: Start of the cosine.
        weight_decay: Decoupled weight decay.
        quality: Weight of the quality head.
        recorded: Share of a batch that is recorded pictures as they are, every place as often.
        calibrated: The same in the calibration of what recordings show.
        often: Place -> how often it is drawn where another one is drawn once.
        tasks: Name of a folder -> task whose pictures it holds; others hold visible and thermal.
        seeds: Synthetic worlds.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    model: str = "prior-heads"
    samples: int = 5000
    dense: float = 0.15
    smoky: float = 0.65
    rainy: float = 0.1
    rendered: float = 0.2
    steps: int = 2500
    batch: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.3
    quality: float = 0.5
    recorded: float = 0.25
    calibrated: float = 0.8
    often: Mapping[str, float] = field(default_factory=dict)
    tasks: Mapping[str, FusionTask] = field(default_factory=dict)
    seeds: tuple[int, ...] = (1, 2, 3)


def read_bases(folders: Sequence[Path], recipe: HeadsRecipe) -> list[Base]:
    """Decode the recorded pictures.

    Raises:
        SourceError: A folder holds no pairs, or a file cannot be decoded.
    """
    bases: list[Base] = []
    for folder in folders:
        task = recipe.tasks.get(folder.name, "vif")
        bases += load_bases([folder]) if task == "vif" else picture_bases(folder, task)
    return bases


def place_of(base: Base) -> str:
    """Return the place of a picture: its recording, or the set of single pictures it is from."""
    first, second, *_ = base.key.split("/")
    if first in ("mef", "mff"):
        return first
    return SYNTHETIC if first.startswith("synthetic:") else f"{first}/{second}"


def read_means(net: PriorNet, recorded: Sequence[Base], recipe: HeadsRecipe, seed: int) -> Means:
    """Degrade pictures; return what the heads see of them and of the recorded ones as they are.

    Args:
        net: Gives the tokens.
        recorded: Recorded pictures.
        recipe: What to draw.
        seed: Seed of the samples.
    """
    rendered = [base for number in recipe.seeds for base in synthetic_bases((number,))]
    places: dict[str, list[Base]] = {}
    for base in recorded:
        places.setdefault(place_of(base), []).append(base)
    names = (*sorted(places), SYNTHETIC)
    rows = itertools.chain(
        (_drawn(places, rendered, recipe, (seed, n)) for n in range(recipe.samples)),
        ((base, (base.visible, dict(base.present), base.unknown)) for base in recorded),
    )
    parts = []
    while chunk := list(itertools.islice(rows, _CHUNK)):
        samples = stack([row for _, row in chunk], "visible")
        numbers = torch.tensor([names.index(place_of(base)) for base, _ in chunk])
        seen = look_at(net, samples)
        parts.append((seen, samples.labels, samples.known, samples.quality, numbers))
    return join_means(parts, names, recipe.samples)


def _drawn(
    places: Mapping[str, Sequence[Base]],
    rendered: Sequence[Base],
    recipe: HeadsRecipe,
    seed: tuple[int, int],
) -> tuple[Base, Row]:
    """Draw a place, a picture of it, and what degrades it; of a weak veil nothing is known.

    Dense veils are drawn by day: how bright they leave a night depends on lamps.
    """
    rng = np.random.default_rng(seed)
    group = rendered
    if not rendered or rng.random() >= recipe.rendered:
        weights = np.array([recipe.often.get(name, 1.0) for name in places])
        group = list(places.values())[int(rng.choice(len(places), p=weights / weights.sum()))]
    days = [base for base in group if not base.present.keys() & {"low_light", "smoke"}]
    severities = None
    dense = bool(days) and rng.random() < recipe.dense
    if dense:
        kind = _VEILS[int(rng.random() < recipe.smoky)]
        group, severities = days, {kind: float(rng.uniform(0.6, 1.0))}
    elif rng.random() < recipe.rainy:
        severities = sample_mixture(rng, "visible", 0.0, favoured=("rain",), favour=1.0)
    base = group[int(rng.integers(len(group)))]
    picture, present, unknown = draw_sample(base, "visible", rng, severities)
    if dense:
        picture, unknown = _misjudge(picture, rng), unknown | {"low_light"}
    weak = {kind for kind in _VEILS if present.get(kind, 1.0) < _WEAK}
    return base, (picture, present, unknown | weak)


def _misjudge(picture: UInt8Image, rng: np.random.Generator) -> UInt8Image:
    """Return a picture whose exposure and white balance a veil before the camera has led astray."""
    gains = np.exp(rng.uniform(-0.15, 0.15, 3) + rng.uniform(-0.8, 0.05))
    return np.rint(np.clip(picture * gains, 0, 255)).astype(np.uint8)


def fit_heads(net: PriorNet, means: Means, recipe: HeadsRecipe, seed: int) -> PriorNet:
    """Return a copy of a network with other heads, drawn and trained anew."""
    fitted = copy.deepcopy(net)
    heads = torch.nn.ModuleList((fitted.head, fitted.degradations, fitted.quality)).train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in heads.modules():
            if isinstance(layer, torch.nn.Linear):
                layer.reset_parameters()
        _descend(fitted, heads, means, recipe)
    return fitted.eval()


def _descend(net: PriorNet, heads: torch.nn.Module, means: Means, recipe: HeadsRecipe) -> None:
    """Train the heads of a network on random batches."""
    optimiser = torch.optim.AdamW(
        heads.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    )
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.steps)
    weights = means.weights(recipe.recorded)
    for _ in range(recipe.steps):
        rows = torch.multinomial(weights, recipe.batch, replacement=True)
        loss = _loss(net, means.rows(rows), recipe)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        decay.step()


def _loss(net: PriorNet, means: Means, recipe: HeadsRecipe) -> Tensor:
    logits, quality = net.judge(means.seen)
    wrong = F.binary_cross_entropy_with_logits(logits, means.labels, means.known, reduction="sum")
    off = F.binary_cross_entropy_with_logits(quality, means.quality)
    return wrong / means.known.sum() + recipe.quality * off


def leave_places_out(
    net: PriorNet, means: Means, recipe: HeadsRecipe, seed: int
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Fit once without each recorded place; iterate over its name, its rows and their logits."""
    for number, name in enumerate(means.names):
        left_out = means.places == number
        if name == SYNTHETIC or bool(left_out.all()):
            continue
        fitted = fit_heads(net, means.rows(~left_out), recipe, seed)
        with torch.inference_mode():
            yield name, left_out, fitted.judge(means.seen[left_out])[0]


def calibrate_heads(net: PriorNet, logits: Tensor, means: Means, recipe: HeadsRecipe) -> None:
    """Set slope and offset of every output by logits of places that were left out.

    Args:
        net: Network whose scaling is set.
        logits: ``NxK``, of heads that had not seen the place.
        means: The pictures.
        recipe: Share of the recorded pictures in the calibration of what recordings show.
    """
    for column, kind in enumerate(VISIBLE_KINDS):
        share = recipe.calibrated if kind in _RECORDED_KINDS else 0.0
        weights = means.weights(share)
        rows = (means.known[:, column] > 0) & (weights > 0)
        slope, offset = platt(logits[rows, column], means.labels[rows, column], weights[rows])
        net.slope[column], net.offset[column] = slope, offset
