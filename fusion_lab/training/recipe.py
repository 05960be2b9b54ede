"""Recipes: everything that decides a training run, as checked data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from fusion_core.errors import ConfigError, UsageError
from fusion_core.runtime.yaml_file import read_mapping
from fusion_lab.training.ablation import find_ablation
from fusion_lab.training.augment import Augmentation
from fusion_lab.training.fusers import FuserSchedule
from fusion_lab.training.loop import Schedule

RecipeT = TypeVar("RecipeT", bound=Schedule)
RECIPES = Path(__file__).parent / "recipes"
_STRICT = ConfigDict(extra="forbid")
_Weight = Annotated[float, Field(ge=0)]


@dataclass(frozen=True)
class LossWeights:
    """Weights of the objective's terms.

    Attributes:
        selected: L1 to the source that the saliency selects (M2PN, L_w).
        brighter: L1 to the brighter source where the saliency does not select thermal, nor the
            guard forbid it.
        ssim: Structural dissimilarity to both sources, summed.
        gradient: L1 to the larger Sobel magnitude.
        overshoot: Sobel magnitude beyond that.
        complement: What fused adds to one source correlates with the other source.
        contrast: Contrastive terms between scene vectors (M2PN, L_ctr).
        k: Threshold of the selection in standard deviations.
        guard: Select thermal only where it stands out from the visible surround at least as much
            as the visible image itself does.
    """

    __pydantic_config__ = _STRICT

    selected: _Weight = 1.0
    brighter: _Weight = 0.0
    ssim: _Weight = 15.0
    gradient: _Weight = 15.0
    overshoot: _Weight = 0.0
    complement: _Weight = 0.0
    contrast: _Weight = 1.0
    k: float = 0.1
    guard: bool = False


@dataclass(frozen=True, kw_only=True)
class Recipe(FuserSchedule):
    """One training run of M2PN.

    Attributes:
        ablation: Part that is taken out; empty is the full system.
        judge: What scores the fused crops for the memory: ``handcrafted`` or ``discriminator``.
        batch: Crops per step.
        crop: Edge of a crop in pixels.
        momentum: Share of a good scene vector in its memory slot's update.
        kappa: Good means: score above mean + kappa * std of the judged history.
        replace_after: An accepted vector takes the slot unused for this many queries.
        loss: Weights of the objective.
        augmentation: Ranges of the changes to crops.
    """

    batch: Annotated[int, Field(ge=1)] = 16
    crop: Annotated[int, Field(ge=16)] = 128
    momentum: Annotated[float, Field(ge=0, le=1)] = 0.1
    kappa: float = 0.5
    replace_after: Annotated[int, Field(ge=1)] = 4000
    ablation: str = ""
    judge: Literal["handcrafted", "discriminator"] = "handcrafted"
    loss: LossWeights = field(default_factory=LossWeights)
    augmentation: Augmentation = field(default_factory=Augmentation)

    def to_dict(self) -> dict[str, Any]:
        """Return the nested plain values, fit for YAML and JSON."""
        return dataclasses.asdict(self)


def load_recipe(model: str, ablation: str = "", *, source: str = "", **overrides: object) -> Recipe:
    """Read the recipe that ships for a model, or another one.

    Args:
        model: Name of the model.
        ablation: One of ``ABLATIONS``; empty is the full system.
        source: See :func:`read_recipe`.
        overrides: Top-level values that win over the file's; None means not given.

    Raises:
        UsageError: There is no such recipe, or no such ablation.
        ConfigError: The recipe or an override is malformed or out of range.
    """
    change = find_ablation(ablation)
    changes = {"ablation": ablation, **change.recipe, **overrides}
    return read_recipe(Recipe, model, changes, {"loss": change.loss}, source)


def read_recipe(
    kind: type[RecipeT],
    model: str,
    overrides: Mapping[str, object],
    nested: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
    source: str = "",
) -> RecipeT:
    """Read the recipe that ships for a model, or another one, as data of its kind.

    Args:
        kind: Frozen dataclass that the recipe must fit.
        model: Name of the model.
        overrides: Top-level values that win over the file's; None means not given.
        nested: Top-level name -> values that win over those in it.
        source: Name of another recipe that ships, or a YAML file; empty: the model's own.

    Raises:
        UsageError: There is no such recipe.
        ConfigError: The recipe or an override is malformed or out of range, or the recipe is
            another model's.
    """
    path = _find(source or model)
    data = read_mapping(path, ConfigError)
    if data.get("model") != model:
        raise ConfigError(
            f"{path}: model = {data.get('model')!r}, but {model!r} is to be trained; "
            "give the recipe of this model"
        )
    for name, values in nested.items():
        data[name] = {**data.get(name, {}), **values}
    data |= {key: value for key, value in overrides.items() if value is not None}
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        reason = f"{key} = {first['input']!r}: {first['msg'].lower()}"
        raise ConfigError(f"{path.name}: {reason}") from None


def _find(name: str) -> Path:
    """Return the file of a recipe that ships, or the one named."""
    shipped = RECIPES / f"{name}.yaml"
    path = shipped if shipped.is_file() else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in RECIPES.glob("*.yaml")))
        raise UsageError(f"recipe {name!r}: no such file; recipes that ship: {known}")
    return path
