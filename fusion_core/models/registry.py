"""Networks by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from fusion_core.errors import UsageError
from fusion_core.models.base import Fuser
from fusion_core.models.checkpoint import load_weights
from fusion_core.models.m2pn import EDGE, FULL, M2PN, M2PNConfig

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


_CONFIGS: dict[str, M2PNConfig] = {"m2pn": FULL, "m2pn-edge": EDGE}
_DESCRIPTIONS = {
    "m2pn": "Memory-bank prompts on full-resolution features; for a GPU or offline work.",
    "m2pn-edge": "The same design on a quarter of the grid; live on two CPU cores.",
}


def create_model(name: str, seed: int | None = None) -> Fuser:
    """Build an untrained network, in training mode.

    Args:
        name: One of :func:`list_models`.
        seed: Seed of the initial weights; None draws from torch's global generator.

    Raises:
        UsageError: No such network.
    """
    if name not in _CONFIGS:
        raise UsageError(f"model {name!r}: unknown; known models: {', '.join(_CONFIGS)}")
    if seed is None:
        return M2PN(name, _CONFIGS[name])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return M2PN(name, _CONFIGS[name])


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
            paper="M2PN",
            description=_DESCRIPTIONS[name],
            weights_present=shipped_weights(name).is_file(),
        )
        for name in _CONFIGS
    )
