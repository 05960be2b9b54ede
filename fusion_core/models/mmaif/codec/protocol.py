"""The interface of a codec."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class LatentCodec(Protocol):
    """Makes a small grid of features of a picture, and a picture of such a grid."""

    @property
    def channels(self) -> int:
        """Channels of a latent."""

    @property
    def factor(self) -> int:
        """Edge in pixels of a cell of a latent."""

    def encode(self, pictures: Tensor) -> Tensor:
        """Return latents ``BxCxhxw``, of about mean 0 and deviation 1.

        ``h`` and ``w`` are the picture's sides over ``factor``, rounded up: the border is mirrored.

        Args:
            pictures: ``Bx3xHxW`` RGB in [0, 1].
        """

    def decode(self, latents: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Return pictures ``Bx3xHxW`` RGB in [0, 1]; gradients reach the latents.

        Args:
            latents: ``BxCxhxw`` as ``encode`` gives them.
            size: Height and width of the picture that was encoded; None: ``factor`` times the
                grid.
        """
