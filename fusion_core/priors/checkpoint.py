"""The embedded networks on disk: one safetensors file, whole or refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusion_core.errors import WeightsError
from fusion_core.priors.network import PriorNet
from fusion_core.runtime.tensors import below, read_tensors, write_tensors

SHIPPED = Path(__file__).parent / "weights" / "embedded.safetensors"
_EXPECTED = {"format": "fusion-prior", "version": "1"}
_ADVICE = "train the embedded provider with `fusion train --model prior`"


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
    metadata = {**_EXPECTED, "training": json.dumps(training, sort_keys=True)}
    write_tensors(path, tensors, metadata)


def load_prior(path: Path) -> tuple[PriorNet, PriorNet]:
    """Return the visible and the thermal network, in evaluation mode.

    Raises:
        WeightsError: The file is missing, torn, foreign or of another architecture.
    """
    _, tensors = read_tensors(path, _EXPECTED, WeightsError, _ADVICE)
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
        net.load_state_dict(below(f"{name}.", tensors))
    return nets[0].eval(), nets[1].eval()
