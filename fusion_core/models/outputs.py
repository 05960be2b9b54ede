"""What fusion networks give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class LumaOutput:
    """What a network that fuses luma makes of a batch of ``B`` pairs.

    Attributes:
        fused: ``Bx1xHxW`` fused luma in [0, 1].
        chroma: ``Bx2xHxW`` Cb and Cr of the result, as in `Cues`; None keeps the first picture's.
        maps: ``Bx4xhxw`` coefficients on a grid by which the picture was made of the sources; see
            ``blocks.heads.apply_maps``. None where a network makes it in another way.
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
    maps: Tensor | None = None
    query: Tensor = field(default_factory=lambda: torch.zeros(0, 1))
    nodes: Mapping[str, Tensor] = field(default_factory=dict)
    attention: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    reference: Tensor | None = None
    logits: Tensor | None = None


class SourceShares(NamedTuple):
    """How much of each picture a network took, of ``B`` sets of ``N`` pictures as given.

    Attributes:
        pixels: ``BxNxHxW`` shares in [0, 1] of the pictures in each pixel, sum 1, means over the
            scales at which they were joined.
        prompts: ``BxNxhxw`` shares as the network's prompts have them, on the grid of its tokens.
    """

    pixels: Tensor
    prompts: Tensor


class FuserOutput:
    """What a fusion network makes of a batch of ``B`` sets of pictures.

    Args:
        image: ``Bx3xHxW`` RGB in [0, 1], or what computes it when it is asked for.
        luma: The fused luma and more, of a network that fuses luma; else None.
        memory_query: ``BxD`` scene vector, by which the memory bank is updated, of a network with
            memory; else None.
        decision: What computes the shares of the pictures, of a network that has any; else None.
    """

    def __init__(
        self,
        image: Tensor | Callable[[], Tensor],
        *,
        luma: LumaOutput | None = None,
        memory_query: Tensor | None = None,
        decision: Callable[[], SourceShares] | None = None,
    ) -> None:
        self._image = image
        self.luma = luma
        self.memory_query = memory_query
        self._decision = decision

    @cached_property
    def image(self) -> Tensor:
        """``Bx3xHxW`` RGB in [0, 1]."""
        return self._image if isinstance(self._image, Tensor) else self._image()

    @cached_property
    def decision(self) -> SourceShares | None:
        """The shares of the pictures in the result; None where the network has none."""
        return None if self._decision is None else self._decision()
