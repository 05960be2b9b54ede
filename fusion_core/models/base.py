"""The interface that every fusion network keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from fusion_core.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, slots=True)
class Features:
    """What a fusion network can do and what it asks for.

    Attributes:
        tasks: Fusion tasks it is trained for; ``vif`` is visible-infrared fusion.
        uses_memory: The slots of a memory bank change the result.
        uses_chroma: Looks at the visible chroma, and gives the chroma of the result.
        uses_prior: The tokens of a scene prior change the result.
        uses_mask: A mask that marks what matters changes the result.
    """

    tasks: tuple[str, ...] = ("vif",)
    uses_memory: bool = False
    uses_chroma: bool = False
    uses_prior: bool = False
    uses_mask: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Cues:
    """What a network may be told beside the two pictures; networks ignore what they do not use.

    Attributes:
        chroma: ``Bx2xHxW`` Cb and Cr of the visible images in [0, 1], 128/255 is grey.
        tokens: ``BxSxC`` tokens of the scene prior.
        mask: ``Bx1xHxW`` in [0, 1], 1 marks what the result shall favour.
    """

    chroma: Tensor | None = None
    tokens: Tensor | None = None
    mask: Tensor | None = None


NO_CUES = Cues()


@dataclass(frozen=True, slots=True, eq=False)
class FuserOutput:
    """What a fusion network makes of a batch of ``B`` pairs.

    Attributes:
        fused: ``Bx1xHxW`` fused luma in [0, 1].
        chroma: ``Bx2xHxW`` Cb and Cr of the result, as in `Cues`; None keeps the visible image's.
        query: ``BxD`` scene vector, by which the memory bank is read and updated; empty without
            a bank.
        nodes: Name -> ``BxD`` scene vectors: ``thermal``, ``visible``, ``fused``, ``residual`` and,
            after graph attention, ``thermal_graph``, ``visible_graph``. A network built without
            one of these parts leaves its name out.
        attention: ``BxN`` weights with which the slots were read, zero when they were not.
        reference: ``Bx1xHxW`` what it would be without the mask; None where no mask acted.
        logits: ``BxKxhxw`` logits of what the mask was found to mean, on the network's own grid;
            None where no mask acted.
    """

    fused: Tensor
    chroma: Tensor | None = None
    query: Tensor = field(default_factory=lambda: torch.zeros(0, 1))
    nodes: Mapping[str, Tensor] = field(default_factory=dict)
    attention: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    reference: Tensor | None = None
    logits: Tensor | None = None


class Fuser(nn.Module, ABC):
    """A network that fuses a thermal image with the luma of a registered visible image.

    Args:
        name: Name in the registry; checkpoints and memory snapshots carry it.
        config: Frozen dataclass of plain values that fixes the architecture.
        bank: ``NxD`` slots of the memory bank as trained; part of the checkpoint. None for a
            network without memory.
    """

    features: ClassVar[Features] = Features()
    config: DataclassInstance
    bank: Tensor

    def __init__(self, name: str, config: DataclassInstance, bank: Tensor | None = None) -> None:
        super().__init__()
        self.name = name
        self.config = config
        self.register_buffer("bank", torch.zeros(0, 1) if bank is None else bank)

    @property
    def dim(self) -> int:
        """Width ``D`` of the scene vectors and of the memory bank's slots."""
        return self.bank.shape[1]

    @abstractmethod
    def fuse(self, thermal: Tensor, visible: Tensor, slots: Tensor, cues: Cues) -> FuserOutput:
        """Fuse checked inputs; see :meth:`forward`."""

    def forward(
        self, thermal: Tensor, visible: Tensor, slots: Tensor, cues: Cues = NO_CUES
    ) -> FuserOutput:
        """Fuse a batch of registered pairs of any size.

        Args:
            thermal: ``Bx1xHxW`` in [0, 1], hot is bright.
            visible: ``Bx1xHxW`` luma in [0, 1].
            slots: ``NxD`` slots of the memory bank, ``D`` = :attr:`dim`; :attr:`bank` for a network
                without memory.
            cues: What else is known.

        Raises:
            UsageError: The shapes do not fit together.
        """
        if thermal.ndim != 4 or thermal.shape[1] != 1 or thermal.shape != visible.shape:
            raise UsageError(
                f"{self.name}: thermal {tuple(thermal.shape)} and visible {tuple(visible.shape)}: "
                "expected two equal shapes (batch, 1, height, width)"
            )
        if slots.ndim != 2 or slots.shape[1] != self.dim:
            raise UsageError(
                f"{self.name}: memory slots {tuple(slots.shape)}: expected (slots, {self.dim})"
            )
        for name, cue in (("chroma", cues.chroma), ("mask", cues.mask)):
            if cue is not None and cue.shape[-2:] != thermal.shape[-2:]:
                raise UsageError(
                    f"{self.name}: {name} {tuple(cue.shape)} for pictures {tuple(thermal.shape)}: "
                    "expected the pictures' batch, height and width"
                )
        return self.fuse(thermal, visible, slots, cues)

    def parameter_count(self) -> int:
        """Return the number of trainable parameters."""
        return sum(parameter.numel() for parameter in self.parameters())
