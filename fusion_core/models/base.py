"""The interface that every fusion network keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from fusion_core.errors import ConfigError, UsageError
from fusion_core.models.cues import NO_CUES, Cues, TextCue
from fusion_core.models.features import Features
from fusion_core.models.options import NoOptions
from fusion_core.models.outputs import FuserOutput
from fusion_core.models.requirements import check_pictures, complete_cues
from fusion_core.runtime.settings import Settings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from fusion_core.models.luma import LumaFuser


class Fuser(nn.Module, ABC):
    """A network that fuses registered pictures in colour.

    Args:
        name: Name in the registry; checkpoints and memory snapshots carry it.
        config: Frozen dataclass of plain values that fixes the architecture.
        bank: ``NxD`` slots of the memory bank as trained; part of the checkpoint. None for a
            network without memory.

    Attributes:
        features: What it takes and gives; an instance refines its class's.
        scores: Quality scores of the pictures that the memory bank was trained on, which the first
            queries of a stream are compared with; part of the checkpoint.
        Options: Block of settings of what can be changed after training.
        options: What is set.
    """

    features: Features
    Options: ClassVar[type[Settings]] = NoOptions
    options: Settings
    config: DataclassInstance
    bank: Tensor
    scores: tuple[float, ...] = ()

    def __init__(self, name: str, config: DataclassInstance, bank: Tensor | None = None) -> None:
        super().__init__()
        self.name = name
        self.config = config
        self.options = self.Options()
        self.register_buffer("bank", torch.zeros(0, 1) if bank is None else bank)

    @property
    def dim(self) -> int:
        """Width ``D`` of the scene vectors and of the memory bank's slots."""
        return self.bank.shape[1]

    @property
    def luma_path(self) -> LumaFuser | None:
        """The network itself when it can be run on luma alone, else None."""
        return None

    @abstractmethod
    def fuse(self, first: Tensor, second: Tensor, cues: Cues) -> FuserOutput:
        """Fuse checked inputs; see :meth:`forward`."""

    def forward(self, first: Tensor, second: Tensor, cues: Cues = NO_CUES) -> FuserOutput:
        """Fuse a batch of registered pairs of any size.

        Args:
            first: ``Bx3xHxW`` RGB in [0, 1]; for task ``vif`` the visible picture.
            second: ``Bx3xHxW`` RGB in [0, 1]; for task ``vif`` the thermal picture, hot is bright,
                one channel repeated.
            cues: What else is known.

        Raises:
            UsageError: The shapes do not fit together, or a cue is missing or wrong.
        """
        check_pictures(self.name, 3, first=first, second=second)
        return self.fuse(first, second, self.complete_cues(first, cues))

    def fuse_many(self, pictures: Sequence[Tensor], cues: Cues = NO_CUES) -> FuserOutput:
        """Fuse a batch of two or more registered pictures, each with the result so far.

        Args:
            pictures: ``Bx3xHxW`` each; see :meth:`forward`.
            cues: What else is known.

        Raises:
            UsageError: The shapes do not fit together, or a cue is missing or wrong.
        """
        first, second, *others = pictures
        fused: FuserOutput = self(first, second, cues)
        for other in others:
            fused = self(fused.image, other, cues)
        return fused

    def complete_cues(self, picture: Tensor, cues: Cues) -> Cues:
        """Return the cues as the network gets them; see :func:`complete_cues`."""
        return complete_cues(self.name, self.features, picture, cues, self.bank)

    def encode_text(self, text: str) -> TextCue:
        """Return a text as the network reads it.

        Raises:
            UsageError: The network takes no text.
        """
        raise UsageError(f"{self.name}: takes no text ({text!r}); leave it out")

    def named(self, text: str) -> frozenset[str]:  # noqa: ARG002
        """Return what a text names to be shown: ``people``, ``vehicles``, ``hot``."""
        return frozenset()

    def configure(self, options: Settings) -> None:
        """Set the options.

        Raises:
            ConfigError: They are those of another network.
        """
        if not isinstance(options, self.Options):
            raise ConfigError(
                f"model {self.name!r}: options are a {type(options).__name__}, expected "
                f"{self.Options.__name__}"
            )
        self.options = options

    def parameter_count(self) -> int:
        """Return the number of trainable parameters."""
        return sum(parameter.numel() for parameter in self.parameters())
