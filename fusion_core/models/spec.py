"""What a package states about a fusion network that it brings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fusion_core.models.base import Fuser

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model; an entry point of the group ``fusion.models`` names an instance.

    The entry point's name is the name by which the model is loaded. Listing the models reads only
    what is stated here and builds no network.

    Attributes:
        network: Class of the network, built from its name and its configuration; its features and
            options are read without building it.
        config: Frozen dataclass of plain values that fixes the architecture.
        paper: Title of the publication it follows.
        description: What it is for, in one line.
        parameters: Number of trainable parameters.
        weights: Checkpoint that ships with the package; None where none does.
    """

    network: type[Fuser]
    config: DataclassInstance
    paper: str
    description: str
    parameters: int
    weights: Path | None = None

    @property
    def weights_present(self) -> bool:
        """Whether the weights that it states are on this machine."""
        return self.weights is not None and self.weights.is_file()
