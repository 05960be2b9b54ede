"""Recipes of networks that follow a sentence, as checked data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from fusion_core.errors import UsageError
from fusion_lab.data import FusionTask
from fusion_lab.training.fuser_trainer import FuserSchedule
from fusion_lab.training.recipe import read_recipe

_Weight = Annotated[float, Field(ge=0)]
_Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class WishingLoss:
    """Weights of the objective.

    Attributes:
        decibels: Logarithm of each crop's squared error, in powers of ten, luma and half of the
            chroma: easy sets count as much as hopeless ones. Of ``vif`` those of both sources to
            the sources as asked for; of other tasks that of the result to the target.
        pixels: L1 of the same.
        ssim: Structural dissimilarity of the luma to the target's.
        edges: L1 of the luma's Sobel magnitude to the target's.
        latent: L1 of the latent to the target's; of a flow, squared error of the velocity.
        opened: Cross entropy of the rules, which are to take away what they are for.
        balance: Balance of the experts.
        size: Size of the routers' logits.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    decibels: _Weight = 0.5
    pixels: _Weight = 1.0
    ssim: _Weight = 0.5
    edges: _Weight = 0.5
    latent: _Weight = 0.1
    opened: _Weight = 0.05
    balance: _Weight = 0.01
    size: _Weight = 1e-3


@dataclass(frozen=True)
class SaidShares:
    """What is said about a set of pictures; the shares add up to at most 1.

    Attributes:
        nothing: No sentence: everything is to be removed.
        part: Some of what degrades is to be removed, the rest stays.
        wrong: Only what is not there is to be removed: everything stays.
        gently: Share of removals that are slight; half of the degradation stays.
        kept: Share of partial wishes that name what shall stay.
        targets: Share of sentences that name people, vehicles or heat.
        styles: Share of sentences that ask for a style.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    nothing: _Share = 0.15
    part: _Share = 0.2
    wrong: _Share = 0.1
    gently: _Share = 0.1
    kept: _Share = 0.3
    targets: _Share = 0.25
    styles: _Share = 0.1


@dataclass(frozen=True, kw_only=True)
class WishingRecipe(FuserSchedule):
    """One training run; each step takes the next task.

    Attributes:
        turns: Tasks in the order of their turns.
        pairs: Folders of visible and thermal pairs below the one folder of data.
        sharp: Folders of single sharp pictures there, of which exposures and focus settings are
            made; of ``vif`` pairs the visible side serves as well.
        batch: Crops per step.
        crop: Edge of a crop in pixels, a multiple of 32.
        region: Edge of the region that the transformer sees, a multiple of ``crop``.
        pool: Regions per task that crops are drawn from.
        renew: Steps after which one region of the pool of a task is new, of that task's steps.
        clean: Share of sets that nothing degrades.
        severity: Largest severity of a degradation, in (0, 1].
        night: Share of visible pictures that are made dark first: a night shall stay one.
        thermal: Share of thermal pictures that are degraded.
        said: What is said.
        transformer_rate: Learning rate of the transformer as a share of the pixel network's.
        rules_rate: The same of thresholds and openings of the rules.
        words_from: Step from which sentences are read; before it the network gets the wish itself.
        part: What learns: all but the diagnosis, or the ``diagnosis`` alone, from ``pool`` sets for
            every turn of a task; ``batch`` then counts pictures.
        network: Fields of the network's configuration that differ, for ablations.
        loss: Weights of the objective.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    turns: tuple[FusionTask, ...] = ("vif", "mef", "vif", "mff", "vif")
    pairs: tuple[str, ...]
    sharp: tuple[str, ...] = ()
    batch: Annotated[int, Field(ge=1)] = 4
    crop: Annotated[int, Field(ge=32, multiple_of=32)] = 128
    region: Annotated[int, Field(ge=32, multiple_of=32)] = 256
    pool: Annotated[int, Field(ge=1)] = 32
    renew: Annotated[int, Field(ge=1)] = 2
    clean: _Share = 0.1
    severity: Annotated[float, Field(gt=0, le=1)] = 0.8
    night: _Share = 0.1
    thermal: _Share = 0.3
    said: SaidShares = field(default_factory=SaidShares)
    transformer_rate: _Share = 0.6
    rules_rate: _Weight = 6.0
    words_from: Annotated[int, Field(ge=0)] = 0
    part: Literal["network", "diagnosis"] = "network"
    network: dict[str, int | bool | str] = field(default_factory=dict)
    loss: WishingLoss = field(default_factory=WishingLoss)


ABLATIONS: Mapping[str, Mapping[str, int | bool | str]] = {
    "": {},
    "base": {"experts": 1, "rope": False, "value_residual": False, "convolution": False},
    "experts": {"rope": False, "value_residual": False, "convolution": False},
    "rope": {"value_residual": False, "convolution": False},
    "value-residual": {"convolution": False},
    "flow": {"objective": "flow"},
}
"""The paper's ladder: each step has what the one before has, and what it is named after."""


def load_wishing_recipe(
    model: str, ablation: str = "", *, source: str = "", **overrides: object
) -> WishingRecipe:
    """Read the recipe that ships for an MMAIF network, or another one.

    Args:
        model: ``mmaif`` or ``mmaif-full``.
        ablation: One of ``ABLATIONS``; empty is the full system.
        source: See :func:`fusion_lab.training.recipe.read_recipe`.
        overrides: Top-level values that win over the file's; None means not given.

    Raises:
        UsageError: No such ablation or recipe.
        ConfigError: The recipe or an override is malformed or out of range.
    """
    if ablation not in ABLATIONS:
        known = ", ".join(list(ABLATIONS)[1:])
        raise UsageError(f"ablation {ablation!r}: unknown; known ablations of MMAIF: {known}")
    changes = {"network": dict(ABLATIONS[ablation]), **overrides}
    return read_recipe(WishingRecipe, model, changes, source=source)
