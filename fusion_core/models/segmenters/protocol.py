"""The interface of a segmenter."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor
from torch.nn import functional as F


class Segmenter(Protocol):
    """Segments what prompts describe in an image."""

    @property
    def dim(self) -> int:
        """Width of the prompts."""

    def __call__(self, reference: Tensor, mask: Tensor, prompts: Tensor) -> Tensor:
        """Return one map of logits per set of prompts, ``BxKxhxw``, on the grid of the features.

        Args:
            reference: ``Bx1xHxW`` picture in [0, 1].
            mask: ``Bx1xHxW`` in [0, 1] that the prompts were made from.
            prompts: ``BxKxNxD``: ``K`` sets of ``N`` prompts on the same picture.
        """


class PassThroughSegmenter:
    """Returns the given mask: the baseline against which segmenters are compared.

    Args:
        dim: Width of the prompts, which are not used.
        down: Edge in pixels of a cell of the logits.
    """

    _CERTAIN = 10.0

    def __init__(self, dim: int, down: int) -> None:
        self.dim = dim
        self.down = down

    def __call__(
        self,
        reference: Tensor,  # noqa: ARG002
        mask: Tensor,
        prompts: Tensor,
    ) -> Tensor:
        """Return logits ``BxKxhxw``; see :class:`Segmenter`."""
        marked = F.avg_pool2d(mask, self.down, ceil_mode=True)
        return (self._CERTAIN * (2 * marked - 1)).expand(-1, prompts.shape[1], -1, -1)
