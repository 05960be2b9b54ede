"""What a segmenter takes and gives."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Segmenter(Protocol):
    """Finds in a picture what prompts describe."""

    @property
    def dim(self) -> int:
        """Width of the prompts."""

    def __call__(self, reference: Tensor, prompts: Tensor) -> Tensor:
        """Return one map of logits per set of prompts, ``BxKxHxW``.

        Args:
            reference: ``Bx1xHxW`` picture in [0, 1].
            prompts: ``BxKxNxD``: ``K`` sets of ``N`` prompts on the same picture.
        """
