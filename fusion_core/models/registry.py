"""Networks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from fusion_core.errors import UsageError
from fusion_core.models.base import Fuser
from fusion_core.models.checkpoint import load_weights
from fusion_core.models.m2pn import EDGE, FULL, M2PN

WEIGHTS = Path(__file__).parent / "weights"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One entry of the list of networks.

    Attributes:
        name: Name by which it is loaded.
        parameters: Number of trainable parameters.
        paper: Title of the publication it follows.
        description: What it is for, in one line.
        weights_present: Trained weights ship with the package.
    """

    name: str
    parameters: int
    paper: str
    description: str
    weights_present: bool


@dataclass(frozen=True, slots=True)
class _Entry:
    build: Callable[[str], Fuser]
    paper: str
    description: str


_NETWORKS: dict[str, _Entry] = {
    "m2pn": _Entry(
        lambda name: M2PN(name, FULL),
        "M2PN",
        "Memory-bank prompts on full-resolution features; for a GPU or offline work.",
    ),
    "m2pn-edge": _Entry(
        lambda name: M2PN(name, EDGE),
        "M2PN",
        "The same design on a quarter of the grid; live on two CPU cores.",
    ),
}


def create_model(name: str, seed: int | None = None) -> Fuser:
    """Build an untrained network, in training mode.

    Args:
        name: One of :func:`list_models`.
        seed: Seed of the initial weights; None draws from torch's global generator.

    Raises:
        UsageError: No such network.
    """
    if name not in _NETWORKS:
        raise UsageError(f"model {name!r}: unknown; known models: {', '.join(_NETWORKS)}")
    if seed is None:
        return _NETWORKS[name].build(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _NETWORKS[name].build(name)


def load_model(
    name: str, device: str | torch.device = "cpu", weights: str | Path | None = None
) -> Fuser:
    """Build a network with trained weights, in evaluation mode.

    Args:
        name: One of :func:`list_models`.
        device: Where it shall run.
        weights: Checkpoint; None takes the one that ships with the package.

    Raises:
        UsageError: No such network.
        WeightsError: The checkpoint is missing, torn, foreign or does not fit.
    """
    model = create_model(name, seed=0)
    load_weights(model, shipped_weights(name) if weights is None else weights)
    return model.to(device).eval()


def shipped_weights(name: str) -> Path:
    """Return where the weights of a network lie when they ship with the package."""
    return WEIGHTS / f"{name}.safetensors"


def list_models() -> tuple[ModelInfo, ...]:
    """Return all networks."""
    return tuple(
        ModelInfo(
            name=name,
            parameters=create_model(name, seed=0).parameter_count(),
            paper=entry.paper,
            description=entry.description,
            weights_present=shipped_weights(name).is_file(),
        )
        for name, entry in _NETWORKS.items()
    )
