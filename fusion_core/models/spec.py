"""What a package states about a fusion network that it brings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion_core.models.base import Fuser

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model; an entry point of the group ``fusion.models`` names an instance.

    The entry point's name is the name by which the model is loaded. Listing the models reads only
    what is stated here and builds no network.

    Attributes:
        network: Builds the network from its name and its configuration, with random weights.
        config: Frozen dataclass of plain values that fixes the architecture.
        paper: Title of the publication it follows.
        description: What it is for, in one line.
        parameters: Number of trainable parameters.
        tasks: Fusion tasks it is trained for; ``vif`` is visible-infrared fusion.
        weights: Checkpoint that ships with the package; None where none does.
    """

    network: Callable[[str, Any], Fuser]
    config: DataclassInstance
    paper: str
    description: str
    parameters: int
    tasks: tuple[str, ...] = ("vif",)
    weights: Path | None = None
