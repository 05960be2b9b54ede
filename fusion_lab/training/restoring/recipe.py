"""Recipes of restoring networks, as checked data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple

from pydantic import ConfigDict, Field

from fusion_core.errors import UsageError
from fusion_core.priors import VISIBLE_KINDS
from fusion_lab.training.fuser_trainer import FuserSchedule
from fusion_lab.training.recipe import read_recipe

_Weight = Annotated[float, Field(ge=0)]
_Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class RestoringLoss:
    """Weights of the objective; the references are the clean pictures.

    Attributes:
        fused: L1 of the fused luma to what the network fuses the clean pictures to.
        edges: L1 of the differences of neighbours to those of that picture.
        thermal: L1 of the thermal picture restored on the way.
        restored: L1 of the luma restored on the way.
        decibels: Logarithm of each picture's squared error in that luma, see ``decibel_loss``:
            little rain in a picture counts as heavy rain in another.
        tone: Squared distance of the local means of that luma.
        darkened: By how much that luma is below both the degraded and the clean one, mean.
        detail: L1 of the differences of neighbours to those of the clean luma.
        chroma: L1 to the clean Cb and Cr.
        weather: Cross entropy of the prototypes' activations against the weathers at hand; needs
            a prior and as many prototypes as there are in ``WEATHERS``.
        balance: Balance of the experts.
        orthonormality: Squared distance of the prototypes to orthonormal ones.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    fused: _Weight = 10.0
    edges: _Weight = 10.0
    thermal: _Weight = 5.0
    restored: _Weight = 10.0
    decibels: _Weight = 0.0
    tone: _Weight = 0.0
    darkened: _Weight = 0.0
    detail: _Weight = 10.0
    chroma: _Weight = 20.0
    weather: _Weight = 0.0
    balance: _Weight = 0.05
    orthonormality: _Weight = 0.1


@dataclass(frozen=True, kw_only=True)
class RestoringRecipe(FuserSchedule):
    """One training run.

    Attributes:
        batch: Crops per step.
        crop: Edge of a crop in pixels.
        pool: Degraded pictures that crops are drawn from.
        fresh: Pictures of the pool that every step renews.
        clean: Share of visible pictures that stay clean.
        night: Share of pictures whose clean visible side is made dark: a night shall stay one.
        mistaken: Share of crops that see the prior of another picture.
        thermal: Share of thermal pictures that are degraded.
        largest: Most degradations of one visible picture.
        kinds: Degradations to draw from, one listed twice twice as often; empty draws from all (the
            paper's strategy II), one kind is its strategy I.
        weather: Degradations of which ``favour`` of the degraded pictures have one.
        favour: Share of degraded pictures that have at least one of ``weather``.
        prior: Provider whose tokens of the degraded pictures the network sees.
        learns: What learns, by the beginnings of its tensors' names; empty: all but the network
            that merges. A router that does not learn chooses as after training.
        network: Fields of the network's configuration that differ, for ablations.
        loss: Weights of the objective.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    batch: Annotated[int, Field(ge=1)] = 5
    crop: Annotated[int, Field(ge=32)] = 160
    pool: Annotated[int, Field(ge=1)] = 48
    fresh: Annotated[int, Field(ge=1)] = 2
    clean: _Share = 0.18
    night: _Share = 0.0
    mistaken: _Share = 0.0
    thermal: _Share = 0.3
    largest: Annotated[int, Field(ge=1, le=3)] = 3
    kinds: tuple[str, ...] = ()
    weather: tuple[str, ...] = ("haze", "rain", "snow")
    favour: _Share = 0.6
    prior: Literal["embedded", "clip", "blip2", "none"] = "embedded"
    learns: tuple[str, ...] = ()
    network: dict[str, int | bool | str | tuple[int, ...]] = field(default_factory=dict)
    loss: RestoringLoss = field(default_factory=RestoringLoss)


# What each of three prototypes stands for, by the weather loss; smoke counts as haze.
WEATHERS: tuple[tuple[str, ...], ...] = (("haze", "smoke"), ("rain",), ("snow",))


class Ablation(NamedTuple):
    """What differs from the full system: fields of the network's configuration, and of the loss."""

    network: Mapping[str, int | bool | str] = MappingProxyType({})
    loss: Mapping[str, float] = MappingProxyType({})


ABLATIONS: Mapping[str, Ablation] = {
    "": Ablation(),
    "no-dcam": Ablation({"prototypes": 0}),
    "one-expert": Ablation({"experts": 1}),
    "random-prototypes": Ablation({"orthonormal": False}),
    "one-prototype": Ablation({"prototypes": 1}),
    "six-prototypes": Ablation({"prototypes": 6}),
    "no-labels": Ablation(loss={"weather": 0.0}),
    "pixel-router": Ablation({"router": "pixel"}),
}


def load_restoring_recipe(
    model: str, ablation: str = "", *, source: str = "", **overrides: object
) -> RestoringRecipe:
    """Read the recipe that ships for a restoring network, or another one.

    Args:
        model: ``mdaif``, ``mdaif-b1`` or ``restorer``.
        ablation: One of ``ABLATIONS``; empty is the full system.
        source: See :func:`fusion_lab.training.recipe.read_recipe`.
        overrides: Top-level values that win over the file's; None means not given.

    Raises:
        UsageError: No such ablation or recipe.
        ConfigError: The recipe or an override is malformed or out of range.
    """
    if ablation not in ABLATIONS:
        known = ", ".join(ABLATIONS)
        raise UsageError(f"ablation {ablation!r}: unknown; known ablations of MdaIF: {known[2:]}")
    chosen = ABLATIONS[ablation]
    changes = {"network": dict(chosen.network), **overrides}
    nested = {"loss": chosen.loss} if chosen.loss else {}
    recipe = read_recipe(RestoringRecipe, model, changes, nested, source=source)
    for kind in recipe.kinds:
        if kind not in VISIBLE_KINDS[1:]:
            known = ", ".join(VISIBLE_KINDS[1:])
            raise UsageError(f"degradation {kind!r}: unknown; known: {known}")
    return recipe
