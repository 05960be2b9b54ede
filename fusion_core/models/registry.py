"""Fusion networks by name, found through the entry points of the group ``fusion.models``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fusion_core.errors import UsageError, WeightsError
from fusion_core.models.base import Fuser
from fusion_core.models.checkpoint import load_weights, parse_config, read_architecture
from fusion_core.models.features import Features
from fusion_core.models.spec import ModelSpec
from fusion_core.plugins import MODELS, load_plugin, load_plugins, plugin_names
from fusion_core.runtime.settings import Settings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One entry of the list of networks.

    Attributes:
        name: Name by which it is loaded.
        parameters: Number of trainable parameters.
        paper: Title of the publication it follows.
        description: What it is for, in one line.
        tasks: Fusion tasks it is trained for.
        weights_present: Trained weights ship with its package.
    """

    name: str
    parameters: int
    paper: str
    description: str
    tasks: tuple[str, ...]
    weights_present: bool


def create_model(name: str, seed: int | None = None) -> Fuser:
    """Build an untrained network, in training mode.

    Args:
        name: One of :func:`list_models`.
        seed: Seed of the initial weights; None draws from torch's global generator.

    Raises:
        UsageError: No such network.
    """
    spec = _spec(name)
    return _build(spec, name, spec.config, seed)


def load_model(name: str, device: str | torch.device = "cpu") -> Fuser:
    """Build a network with trained weights, in evaluation mode.

    Args:
        name: One of :func:`list_models` whose weights ship with its package, or a checkpoint of
            `fusion train`, a ``.safetensors`` file, which holds its own architecture.
        device: Where it shall run.

    Raises:
        UsageError: No such network.
        WeightsError: No weights ship, or the checkpoint is missing, torn, foreign or does not fit.
    """
    if name.endswith(".safetensors"):
        weights = Path(name)
        model_name, config = read_architecture(weights)
        spec = _spec(model_name)
        model = _build(spec, model_name, parse_config(type(spec.config), config, name), seed=0)
    else:
        weights = shipped_weights(name)
        model = create_model(name, seed=0)
    load_weights(model, weights)
    return model.to(device).eval()


def shipped_weights(name: str) -> Path:
    """Return the checkpoint that ships with the package of a network.

    Raises:
        UsageError: No such network.
        WeightsError: None ships.
    """
    weights = _spec(name).weights
    if weights is None:
        raise WeightsError(
            f"model {name!r}: no weights ship with it; train it with `fusion train --model {name}` "
            "and give the .safetensors file"
        )
    return weights


def list_models() -> tuple[ModelInfo, ...]:
    """Return all networks, by name; none is built, and one that cannot be imported is left out."""
    return tuple(
        ModelInfo(
            name=name,
            parameters=spec.parameters,
            paper=spec.paper,
            description=spec.description,
            tasks=spec.network.features.tasks,
            weights_present=spec.weights_present,
        )
        for name, spec in load_plugins(MODELS, ModelSpec).items()
    )


def find_models(matches: Callable[[Features], bool]) -> tuple[str, ...]:
    """Return the networks with weights whose features match; none is built."""
    return tuple(
        name
        for name, spec in load_plugins(MODELS, ModelSpec).items()
        if spec.weights_present and matches(spec.network.features)
    )


def model_options(name: str) -> type[Settings]:
    """Return the block of options of a network or checkpoint; the network is not built.

    Raises:
        UsageError: No such network.
        WeightsError: The checkpoint is missing, torn or foreign.
    """
    known = read_architecture(name)[0] if name.endswith(".safetensors") else name
    return _spec(known).network.Options


def _spec(name: str) -> ModelSpec:
    if name not in plugin_names(MODELS):
        raise UsageError(
            f"model {name!r}: unknown; known models: {', '.join(plugin_names(MODELS))}, "
            "or a .safetensors file of `fusion train`"
        )
    spec: ModelSpec = load_plugin(MODELS, name, ModelSpec)
    return spec


def _build(spec: ModelSpec, name: str, config: DataclassInstance, seed: int | None) -> Fuser:
    if seed is None:
        return _new(spec, name, config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _new(spec, name, config)


def _new(spec: ModelSpec, name: str, config: DataclassInstance) -> Fuser:
    build: Callable[[str, Any], Fuser] = spec.network
    return build(name, config)
