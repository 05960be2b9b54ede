"""Networks of several pipelines in one process: one copy of the weights."""

from __future__ import annotations

import copy
from itertools import chain
from pathlib import Path
from typing import Any, Final

import torch

from fusion_core.models.base import Fuser
from fusion_core.models.registry import load_model, shipped_weights
from fusion_core.runtime.shared_parts import SharedParts, file_identity

_HOLDS: Final = "_shares_with"
_loaded: SharedParts[Fuser] = SharedParts()


def shared_model(name: str, device: torch.device) -> Fuser:
    """Return a network with trained weights, which others that are in use may share.

    Parameters and buffers are one copy; options are each network's own. Nobody may change the
    weights: who trains takes :func:`load_model`.

    Args:
        name: As for :func:`load_model`.
        device: Where it shall run.

    Raises:
        UsageError: No such network.
        WeightsError: No weights ship, or the checkpoint is missing, torn, foreign or does not fit.
    """
    weights = Path(name) if name.endswith(".safetensors") else shipped_weights(name)
    key = (name, str(device), *file_identity(weights))
    first = _loaded.get(key, lambda: load_model(name, device))
    shared: dict[int, Any] = {id(part): part for part in chain(first.parameters(), first.buffers())}
    network = copy.deepcopy(first, shared)
    # Not an attribute of the module, which would make the first one a part of it.
    network.__dict__[_HOLDS] = first
    return network
