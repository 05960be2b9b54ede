"""Which model it is: one hash of class, configuration and weights."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import nn

_DIGITS = 16
# What a configuration notes about the program that wrote or loaded it, not about the model.
_INCIDENTAL = frozenset({"transformers_version", "dtype", "torch_dtype"})

_LATER: Final = "added later"
ADDED_LATER: Final = {_LATER: True}
"""Metadata of a field of a configuration that older models do not have: at its default it changes
no fingerprint."""


def fingerprint(module: nn.Module) -> str:
    """Return 16 hexadecimal digits that identify a model wherever it lies and runs.

    The name of the class, the configuration where it differs from its class's defaults, and every
    parameter and persistent buffer with its name, type and shape go into the hash (SHA-256).
    """
    digest = hashlib.sha256()
    described = [type(module).__qualname__, _without_incidental(_config(module))]
    digest.update(json.dumps(described, sort_keys=True, default=str).encode())
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(values.numpy().data)
    return digest.hexdigest()[:_DIGITS]


def _config(module: nn.Module) -> Any:  # noqa: ANN401 - plain values of any configuration
    config: Any = getattr(module, "config", None)
    # A newer release of transformers may add settings; those at their default change no model.
    if hasattr(config, "to_diff_dict"):
        return config.to_diff_dict()
    if isinstance(config, Mapping):
        return dict(config)
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        values = dataclasses.asdict(config)
        for later in dataclasses.fields(config):
            if later.metadata.get(_LATER) and values[later.name] == later.default:
                del values[later.name]
        return values
    return None


def _without_incidental(value: Any) -> Any:  # noqa: ANN401 - plain values
    if isinstance(value, dict):
        return {
            str(key): _without_incidental(entry)
            for key, entry in value.items()
            if key not in _INCIDENTAL and not str(key).startswith("_")
        }
    if isinstance(value, (list, tuple)):
        return [_without_incidental(entry) for entry in value]
    return value
