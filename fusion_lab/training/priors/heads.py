"""Refit the heads of the embedded network, calibrated on places that the heads have not seen.

The tokens, which other networks read, stay as they are: only what classifies their mean is trained
on, on cached means, in seconds. Each place is left out once; the logits on the places left out are
what Platt's scaling is fitted to, because on pictures of its own places a network is surer than on
those of a robot that it has never seen.
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
from fusion_lab.data import FusionTask
from fusion_lab.training.priors.bases import Base, load_bases, picture_bases, synthetic_bases
from fusion_lab.training.priors.loop import platt
from fusion_lab.training.priors.means import Means, join_means, mean_tokens
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
        dense: Share of them with nothing but dense smoke or haze.
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
    dense: float = 0.1
    rendered: float = 0.2
    steps: int = 60
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
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
        tokens = mean_tokens(net, samples)
        parts.append((tokens, samples.labels, samples.known, samples.quality, numbers))
    return join_means(parts, names, recipe.samples)


def _drawn(
    places: Mapping[str, Sequence[Base]],
    rendered: Sequence[Base],
    recipe: HeadsRecipe,
    seed: tuple[int, int],
) -> tuple[Base, Row]:
    """Draw a place, a picture of it, and what degrades it; of a weak veil nothing is known."""
    rng = np.random.default_rng(seed)
    group = rendered
    if not rendered or rng.random() >= recipe.rendered:
        weights = np.array([recipe.often.get(name, 1.0) for name in places])
        group = list(places.values())[int(rng.choice(len(places), p=weights / weights.sum()))]
    base = group[int(rng.integers(len(group)))]
    dense = None
    if rng.random() < recipe.dense:
        dense = {_VEILS[int(rng.integers(2))]: float(rng.uniform(0.6, 1.0))}
    picture, present, unknown = draw_sample(base, "visible", rng, dense)
    weak = {kind for kind in _VEILS if present.get(kind, 1.0) < _WEAK}
    return base, (picture, present, unknown | weak)


def fit_heads(net: PriorNet, means: Means, recipe: HeadsRecipe, seed: int) -> PriorNet:
    """Return a copy of a network whose heads are trained on, from where they are."""
    fitted = copy.deepcopy(net)
    heads = torch.nn.ModuleList((fitted.head, fitted.degradations, fitted.quality)).train()
    optimiser = torch.optim.AdamW(
        heads.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.steps)
    weights = means.weights(recipe.recorded)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for _ in range(recipe.steps):
            rows = torch.multinomial(weights, recipe.batch, replacement=True)
            loss = _loss(fitted, means.rows(rows), recipe)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            decay.step()
    return fitted.eval()


def _loss(net: PriorNet, means: Means, recipe: HeadsRecipe) -> Tensor:
    summary = net.head(means.tokens)
    wrong = F.binary_cross_entropy_with_logits(
        net.degradations(summary), means.labels, means.known, reduction="sum"
    )
    off = F.binary_cross_entropy_with_logits(net.quality(summary)[:, 0], means.quality)
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
            yield name, left_out, fitted.degradations(fitted.head(means.tokens[left_out]))


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
