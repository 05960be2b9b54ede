"""Weights of the embedded text encoder, with its vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import TypeAdapter

from fusion_core.models.mmaif.text.network import TextConfig, WishNetwork
from fusion_core.models.weight_file import WeightFile

SHIPPED: Final = Path(__file__).parents[2] / "weights" / "mmaif-text.safetensors"
_FILE: Final = WeightFile(
    "fusion-text",
    "train it with `fusion train --model mmaif-text`",
    lambda config: WishNetwork(TypeAdapter(TextConfig).validate_json(config)),
)


def save_text(network: WishNetwork, path: Path, training: Mapping[str, Any]) -> None:
    """Write a text encoder; see :meth:`WeightFile.save`."""
    _FILE.save(network, path, training, asdict(network.config))


def load_text(weights: str | Path, dtype: torch.dtype = torch.float32) -> WishNetwork:
    """Return a text encoder that :func:`save_text` wrote; see :meth:`WeightFile.load`."""
    return _FILE.load(weights, dtype)
