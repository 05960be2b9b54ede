"""Weights of the embedded text encoder, with its vocabulary."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import TypeAdapter, ValidationError

from fusion_core.errors import WeightsError
from fusion_core.models.mmaif.text.network import TextConfig, WishNetwork
from fusion_core.runtime.tensors import read_tensors, write_tensors

SHIPPED: Final = Path(__file__).parents[2] / "weights" / "mmaif-text.safetensors"
_EXPECTED: Final = {"format": "fusion-text", "version": "1"}
_ADVICE: Final = "train it with `fusion train --model mmaif-text`"


def save_text(network: WishNetwork, path: Path, training: Mapping[str, Any]) -> None:
    """Write a text encoder in half precision; the file is either whole or as it was.

    Raises:
        OSError: The file cannot be written.
    """
    tensors = {
        key: value.detach().cpu().half().contiguous() for key, value in network.state_dict().items()
    }
    metadata = {
        **_EXPECTED,
        "config": json.dumps(asdict(network.config)),
        "training": json.dumps(training, sort_keys=True),
    }
    write_tensors(path, tensors, metadata)


def load_text(weights: str | Path, dtype: torch.dtype = torch.float32) -> WishNetwork:
    """Return a text encoder that :func:`save_text` wrote.

    Raises:
        WeightsError: The file is missing, torn, foreign or does not fit.
    """
    metadata, tensors = read_tensors(weights, _EXPECTED, WeightsError, _ADVICE)
    try:
        network = WishNetwork(TypeAdapter(TextConfig).validate_json(metadata.get("config", "")))
        network.load_state_dict(tensors)
    except (ValidationError, RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(f"{weights}: does not fit ({reason}); {_ADVICE}") from None
    return network.to(dtype)
