"""The interface that every fusion network keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from fusion_core.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True, slots=True)
class Features:
    """What a fusion network can do and what it asks for.

    Attributes:
        tasks: Fusion tasks it is trained for; ``vif`` is visible-infrared fusion.
        needs_text: A sentence must be given.
        needs_mask: A mask must be given.
        uses_memory: The slots of a memory bank change the result.
    """

    tasks: tuple[str, ...] = ("vif",)
    needs_text: bool = False
    needs_mask: bool = False
    uses_memory: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class FuserOutput:
    """What a fusion network makes of a batch of ``B`` pairs.

    Attributes:
        fused: ``Bx1xHxW`` fused luma in [0, 1].
        query: ``BxD`` scene vector, by which the memory bank is read and updated.
        nodes: Name -> ``BxD`` scene vectors: ``thermal``, ``visible``, ``fused``, ``residual`` and,
            after graph attention, ``thermal_graph``, ``visible_graph``. A network built without
            one of these parts leaves its name out.
        attention: ``BxN`` weights with which the slots were read, zero when they were not.
    """

    fused: Tensor
    query: Tensor
    nodes: Mapping[str, Tensor]
    attention: Tensor


class Fuser(nn.Module, ABC):
    """A network that fuses a thermal image with the luma of a registered visible image.

    Args:
        name: Name in the registry; checkpoints and memory snapshots carry it.
        config: Frozen dataclass of plain values that fixes the architecture.
        bank: ``NxD`` slots of the memory bank as trained; part of the checkpoint.
    """

    features: ClassVar[Features] = Features()
    config: DataclassInstance
    bank: Tensor

    def __init__(self, name: str, config: DataclassInstance, bank: Tensor) -> None:
        super().__init__()
        self.name = name
        self.config = config
        self.register_buffer("bank", bank)

    @property
    def dim(self) -> int:
        """Width ``D`` of the scene vectors and of the memory bank's slots."""
        return self.bank.shape[1]

    @abstractmethod
    def fuse(self, thermal: Tensor, visible: Tensor, slots: Tensor) -> FuserOutput:
        """Fuse checked inputs; see :meth:`forward`."""

    def forward(self, thermal: Tensor, visible: Tensor, slots: Tensor) -> FuserOutput:
        """Fuse a batch of registered pairs of any size.

        Args:
            thermal: ``Bx1xHxW`` in [0, 1], hot is bright.
            visible: ``Bx1xHxW`` luma in [0, 1].
            slots: ``NxD`` slots of the memory bank, ``D`` = :attr:`dim`.

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
        return self.fuse(thermal, visible, slots)

    def parameter_count(self) -> int:
        """Return the number of trainable parameters."""
        return sum(parameter.numel() for parameter in self.parameters())
