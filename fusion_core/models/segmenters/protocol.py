"""The interface of a segmenter."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from fusion_core.models.blocks import Prompts, View


class Segmenter(Protocol):
    """Segments what prompts describe. It does not see the mask."""

    def __call__(self, view: View, prompts: Prompts) -> Tensor:
        """Return maps of logits ``BxKxhxw`` on the grid of the features.

        One map for all modalities (``K`` is 1), or one for each.
        """
