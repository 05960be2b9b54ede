"""All that a killed run needs to continue bit for bit: tensors in safetensors, scalars as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.errors import WeightsError
from fusion_core.runtime.tensors import below, read_tensors, write_tensors

FORMAT = "fusion-training-1"
_ADVICE = "start a new run without --resume"


def save_state(
    path: Path,
    networks: Mapping[str, nn.Module],
    optimiser: torch.optim.Optimizer,
    scalars: dict[str, Any],
) -> None:
    """Write networks, optimiser and scalars; the file is either whole or as it was.

    Args:
        path: File to write.
        networks: All networks of the run by name: the one in training, its running average, ...
        optimiser: The optimiser.
        scalars: Plain values: step, memory bank file, recipe, seed.

    Raises:
        OSError: The file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    for name, network in networks.items():
        tensors |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
    for index, entries in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": value for key, value in entries.items()}
    tensors = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    metadata = {"format": FORMAT, "scalars": json.dumps(scalars, sort_keys=True)}
    write_tensors(path, tensors, metadata)


def load_state(
    path: Path, networks: Mapping[str, nn.Module], optimiser: torch.optim.Optimizer
) -> dict[str, Any]:
    """Load what :func:`save_state` wrote and return its scalars.

    Raises:
        WeightsError: The file is missing, torn, foreign or of another network.
    """
    metadata, tensors = read_tensors(path, {"format": FORMAT}, WeightsError, _ADVICE)
    try:
        for name, network in networks.items():
            network.load_state_dict(below(f"{name}.", tensors))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise WeightsError(f"{path}: does not fit the networks of this run ({reason})") from None
    _load_optimiser(optimiser, below("optimiser.", tensors))
    scalars: dict[str, Any] = json.loads(metadata["scalars"])
    return scalars


def _load_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
