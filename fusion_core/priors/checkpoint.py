"""The embedded networks on disk: one safetensors file, whole or refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fusion_core.errors import WeightsError
from fusion_core.priors.network import PriorNet
from fusion_core.runtime.files import atomic_path

SHIPPED = Path(__file__).parent / "weights" / "embedded.safetensors"
_FORMAT, _VERSION = "fusion-prior", "1"


def save_prior(
    visible: PriorNet, thermal: PriorNet, path: Path, training: Mapping[str, Any]
) -> None:
    """Write both networks; the file is either whole or as it was.

    Raises:
        OSError: The file cannot be written.
    """
    tensors = {
        f"{name}.{key}": value.detach().cpu().contiguous()
        for name, net in (("visible", visible), ("thermal", thermal))
        for key, value in net.state_dict().items()
    }
    metadata = {
        "format": _FORMAT,
        "version": _VERSION,
        "training": json.dumps(training, sort_keys=True),
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata)


def load_prior(path: Path) -> tuple[PriorNet, PriorNet]:
    """Return the visible and the thermal network, in evaluation mode.

    Raises:
        WeightsError: The file is missing, torn, foreign or of another architecture.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights; train them with `fusion train --model prior`")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: torn or not safetensors ({error})") from None
    if (metadata.get("format"), metadata.get("version")) != (_FORMAT, _VERSION):
        raise WeightsError(
            f"{path}: not weights of the embedded prior (format {metadata.get('format')!r} version "
            f"{metadata.get('version')!r}, expected {_FORMAT!r} {_VERSION!r})"
        )
    nets = PriorNet("visible"), PriorNet("thermal")
    expected = {
        f"{name}.{key}": value.shape
        for name, net in zip(("visible", "thermal"), nets, strict=True)
        for key, value in net.state_dict().items()
    }
    found = {key: value.shape for key, value in tensors.items() if value.isfinite().all()}
    if found != expected:
        odd = min(key for key, _ in expected.items() ^ found.items())
        raise WeightsError(f"{path}: tensor {odd!r} does not fit; train again")
    for name, net in zip(("visible", "thermal"), nets, strict=True):
        net.load_state_dict(_below(tensors, f"{name}."))
    return nets[0].eval(), nets[1].eval()


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
