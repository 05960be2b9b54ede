"""Networks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import TypeAdapter, ValidationError

from fusion_core.errors import UsageError, WeightsError
from fusion_core.models.base import Fuser
from fusion_core.models.checkpoint import load_weights, read_architecture
from fusion_core.models.ctrlfuse import FULL as CTRLFUSE_FULL
from fusion_core.models.ctrlfuse import ROBOT, CtrlFuse
from fusion_core.models.features import Features
from fusion_core.models.m2pn import EDGE, FULL, M2PN
from fusion_core.models.mdaif import B1, SMALL, MdaIF

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

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
    network: type[Fuser]
    config: DataclassInstance
    paper: str
    description: str


_NETWORKS: dict[str, _Entry] = {
    "m2pn": _Entry(
        M2PN,
        FULL,
        "M2PN",
        "Memory-bank prompts on full-resolution features; for a GPU or offline work.",
    ),
    "m2pn-edge": _Entry(
        M2PN,
        EDGE,
        "M2PN",
        "The same design on a quarter of the grid; live on two CPU cores.",
    ),
    "ctrlfuse": _Entry(
        CtrlFuse,
        ROBOT,
        "CtrlFuse",
        "A mask tells what to favour; on a quarter of the grid, with a small segmenter of its own.",
    ),
    "ctrlfuse-full": _Entry(
        CtrlFuse,
        CTRLFUSE_FULL,
        "CtrlFuse",
        "The published setting on the full grid, with SAM; needs SAM's weights and a GPU.",
    ),
    "mdaif": _Entry(
        MdaIF,
        SMALL,
        "MdaIF",
        "Restores haze, rain, snow, night and noise while fusing, in colour; small encoders.",
    ),
    "mdaif-b1": _Entry(
        MdaIF,
        B1,
        "MdaIF",
        "The same at the paper's size, to be trained on a GPU.",
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
    entry = _entry(name)
    return _build(entry, name, entry.config, seed)


def load_model(name: str, device: str | torch.device = "cpu") -> Fuser:
    """Build a network with trained weights, in evaluation mode.

    Args:
        name: One of :func:`list_models`, whose weights ship with the package, or a checkpoint of
            `fusion train`, a ``.safetensors`` file, which knows its own architecture.
        device: Where it shall run.

    Raises:
        UsageError: No such network.
        WeightsError: The checkpoint is missing, torn, foreign or does not fit.
    """
    if name.endswith(".safetensors"):
        weights: str | Path = name
        known, config = read_architecture(name)
        entry = _entry(known)
        model = _build(entry, known, _config(entry, config, name), seed=0)
    else:
        weights, model = shipped_weights(name), create_model(name, seed=0)
    load_weights(model, weights)
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


def find_models(matches: Callable[[Features], bool]) -> tuple[str, ...]:
    """Return the networks with weights whose features match; none is built."""
    return tuple(
        name
        for name, entry in _NETWORKS.items()
        if shipped_weights(name).is_file() and matches(entry.network.features)
    )


def model_options(name: str) -> type[DataclassInstance]:
    """Return the options' dataclass of a network or checkpoint; the network is not built.

    Raises:
        UsageError: No such network.
        WeightsError: The checkpoint is missing, torn or foreign.
    """
    known = read_architecture(name)[0] if name.endswith(".safetensors") else name
    return _entry(known).network.Options


def _entry(name: str) -> _Entry:
    if name not in _NETWORKS:
        raise UsageError(
            f"model {name!r}: unknown; known models: {', '.join(_NETWORKS)}, "
            "or a .safetensors file of `fusion train`"
        )
    return _NETWORKS[name]


def _config(entry: _Entry, text: str, path: str) -> DataclassInstance:
    """Return the configuration that a checkpoint tells as JSON."""
    try:
        config: DataclassInstance = TypeAdapter(type(entry.config)).validate_json(text)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].lower()
        raise WeightsError(f"{path}: unknown architecture ({reason}); train it again") from None
    return config


def _build(entry: _Entry, name: str, config: DataclassInstance, seed: int | None) -> Fuser:
    if seed is None:
        return _new(entry, name, config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _new(entry, name, config)


def _new(entry: _Entry, name: str, config: DataclassInstance) -> Fuser:
    build: Callable[[str, Any], Fuser] = entry.network
    return build(name, config)
