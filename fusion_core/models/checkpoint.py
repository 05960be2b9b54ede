"""Checkpoints of fusion networks: safetensors with a few lines of metadata, whole or refused."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from fusion_core.errors import WeightsError
from fusion_core.foundation import FrozenModel
from fusion_core.memory.scores import NO_SCORES, parse_scores
from fusion_core.models.base import Fuser
from fusion_core.runtime.tensors import read_tensors, write_tensors

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ConfigT = TypeVar("ConfigT", bound="DataclassInstance")
FORMAT = "fusion-weights"
VERSION = "1"


def save_weights(model: Fuser, path: str | Path, training: Mapping[str, Any] | None = None) -> None:
    """Write a network's parameters, bank and scores; the file is either whole or as it was.

    Frozen foundation models are not written, but the fingerprints of those that were used are.

    Args:
        model: The network.
        path: File to write.
        training: Plain values about the training, kept with the weights.

    Raises:
        OSError: The file cannot be written.
    """
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "model": model.name,
        "config": describe_config(model),
        "training": json.dumps(training or {}, sort_keys=True),
        "scores": json.dumps(model.scores),
        "frozen": json.dumps(_frozen_fingerprints(model), sort_keys=True),
    }
    write_tensors(path, tensors, metadata)


def load_weights(model: Fuser, path: str | Path) -> dict[str, Any]:
    """Load a checkpoint into a network and return its training metadata.

    The network is changed only when the whole file fits. Its frozen foundation models must be those
    that it was trained with: those loaded already are compared now, others when they are loaded.

    Raises:
        WeightsError: The file is missing, torn, foreign, or of another network.
    """
    metadata, tensors = _read(path)
    if metadata.get("model") != model.name:
        raise WeightsError(
            f"{path}: weights of model {metadata.get('model')!r}, expected {model.name!r}"
        )
    if parse_config(type(model.config), metadata.get("config", ""), path) != model.config:
        raise WeightsError(
            f"{path}: other architecture {metadata.get('config')}, "
            f"expected {describe_config(model)}; train it again"
        )
    expected = {key: value.shape for key, value in model.state_dict().items()}
    found = {key: value.shape for key, value in tensors.items() if value.isfinite().all()}
    if found != expected:
        odd = min(key for key, _ in expected.items() ^ found.items())
        raise WeightsError(f"{path}: tensor {odd!r} does not fit {model.name!r}; train it again")
    try:
        training: dict[str, Any] = json.loads(metadata["training"])
    except (KeyError, ValueError):
        raise WeightsError(f"{path}: training metadata torn or missing; train again") from None
    _expect_frozen(model, metadata.get("frozen", "{}"), path)
    model.scores = _scores_of(metadata, path)
    model.load_state_dict(tensors)
    return training


def _scores_of(metadata: Mapping[str, str], path: str | Path) -> tuple[float, ...]:
    """Return the quality scores that a file came with; none where it names none.

    Raises:
        WeightsError: They are no finite numbers.
    """
    try:
        return parse_scores(metadata.get("scores", NO_SCORES))
    except ValidationError as error:
        reason = error.errors()[0]["msg"].lower()
        raise WeightsError(f"{path}: scores torn ({reason}); train again") from None


def read_architecture(path: str | Path) -> tuple[str, str]:
    """Return the network's name and its configuration as JSON, as a checkpoint states them.

    Raises:
        WeightsError: The file is missing, torn or foreign.
    """
    metadata, _ = _read(path)
    return metadata.get("model", ""), metadata.get("config", "")


def parse_config(kind: type[ConfigT], text: str, path: str | Path) -> ConfigT:
    """Return the architecture that a checkpoint states; fields it does not name are the defaults.

    Raises:
        WeightsError: It is none of this kind.
    """
    try:
        config = TypeAdapter(kind).validate_json(text)
        odd = json.loads(text).keys() - dataclasses.asdict(config).keys()
    except ValidationError as error:
        reason = error.errors()[0]["msg"].lower()
        raise WeightsError(f"{path}: unknown architecture ({reason}); train it again") from None
    if odd:
        raise WeightsError(f"{path}: unknown architecture ({min(odd)}); train it again")
    return config


def describe_config(model: Fuser) -> str:
    """Return the architecture of a network as JSON."""
    return json.dumps(dataclasses.asdict(model.config), sort_keys=True)


def _frozen_models(model: Fuser) -> dict[str, FrozenModel]:
    """Return the foundation models of a network by their place in it."""
    return {name: part for name, part in model.named_modules() if isinstance(part, FrozenModel)}


def _frozen_fingerprints(model: Fuser) -> dict[str, str]:
    """Return place -> fingerprint of the foundation models that were used."""
    return {name: held.recorded for name, held in _frozen_models(model).items() if held.recorded}


def _expect_frozen(model: Fuser, text: str, path: str | Path) -> None:
    """Hold a network's foundation models to the fingerprints in a checkpoint, or refuse it."""
    held = _frozen_models(model)
    try:
        fingerprints: dict[str, str] = {str(k): str(v) for k, v in json.loads(text).items()}
    except (ValueError, AttributeError):
        raise WeightsError(f"{path}: fingerprints {text[:60]!r} torn; train again") from None
    if not fingerprints.keys() <= held.keys():
        odd = min(fingerprints.keys() - held.keys())
        raise WeightsError(f"{path}: {model.name!r} has no frozen model {odd!r}; train it again")
    for name, identity in fingerprints.items():
        held[name].expect(identity, str(path))


def _read(path: str | Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    expected = {"format": FORMAT, "version": VERSION}
    return read_tensors(path, expected, WeightsError, "train the network with `fusion train`")
