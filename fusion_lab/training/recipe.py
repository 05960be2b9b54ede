"""Recipes: everything that decides a training run, as checked data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from fusion_core.errors import ConfigError, UsageError
from fusion_core.runtime.yaml_file import read_mapping

RecipeT = TypeVar("RecipeT")
RECIPES = Path(__file__).parent / "recipes"


def trainer_of(name: str) -> str:
    """Return the trainer that a recipe names.

    Args:
        name: Name of a recipe that ships, or a YAML file.

    Raises:
        UsageError: There is no such recipe.
        ConfigError: The file is malformed, or names no trainer.
    """
    path = _find(name)
    trainer = read_mapping(path, ConfigError).get("trainer")
    if not isinstance(trainer, str):
        raise ConfigError(
            f"{path}: trainer = {trainer!r}; name the trainer of the recipe, as those that ship do"
        )
    return trainer


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
    data.pop("trainer", None)
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
