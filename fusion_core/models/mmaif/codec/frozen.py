"""Codecs as networks use them: frozen, padded where a size does not fit, clamped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final

from torch import Tensor, nn

from fusion_core.foundation import FoundationKind, FrozenModel
from fusion_core.models.blocks.padding import PadToMultiple
from fusion_core.models.mmaif.codec.network import CHANNELS, FACTOR, TinyAutoencoder
from fusion_core.models.mmaif.codec.weights import SHIPPED, load_codec

EMBEDDED_CODEC: Final = FoundationKind(
    "codec 'embedded'", load_codec, str(SHIPPED), "options.codec_weights"
)


class FrozenCodec(nn.Module, ABC):
    """A :class:`LatentCodec` of a frozen autoencoder.

    No weight of it is part of the network that holds it; see :class:`FrozenModel`.

    Args:
        kind: How the autoencoder is loaded.
        weights: Folder, file or hub name of its weights; the kind's default when empty.
    """

    def __init__(self, kind: FoundationKind, weights: str = "") -> None:
        super().__init__()
        self.held = FrozenModel(kind, weights)

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels of a latent."""

    @property
    @abstractmethod
    def factor(self) -> int:
        """Edge in pixels of a cell of a latent."""

    def encode(self, pictures: Tensor) -> Tensor:
        """Return latents ``BxCxhxw`` of ``Bx3xHxW`` RGB in [0, 1]; see :class:`LatentCodec`.

        Raises:
            MissingExtraError: The package that runs it is not installed.
            WeightsError: The weights are not on this machine.
        """
        return self._encode(PadToMultiple(self.factor)(pictures))

    def decode(self, latents: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Return ``Bx3xHxW`` RGB in [0, 1] of ``BxCxhxw``; see :class:`LatentCodec`."""
        height, width = size or (self.factor * side for side in latents.shape[-2:])
        return self._decode(latents).clamp(0, 1)[..., :height, :width]

    @abstractmethod
    def _encode(self, pictures: Tensor) -> Tensor:
        """Return the latents of pictures whose sides are multiples of ``factor``."""

    @abstractmethod
    def _decode(self, latents: Tensor) -> Tensor:
        """Return the pictures of latents, not yet clamped."""


class EmbeddedCodec(FrozenCodec):
    """The codec that ships, or TAEF2 from a folder: 8 pixels to a cell of 32 channels.

    Args:
        weights: File that `fusion train --model mmaif-codec` wrote, or a folder of TAEF2's files;
            the one that ships when empty.
    """

    def __init__(self, weights: str = "") -> None:
        super().__init__(EMBEDDED_CODEC, weights)

    @property
    def channels(self) -> int:
        """Channels of a latent."""
        return CHANNELS

    @property
    def factor(self) -> int:
        """Edge in pixels of a cell of a latent."""
        return FACTOR

    def _encode(self, pictures: Tensor) -> Tensor:
        network: TinyAutoencoder = self.held.model
        return network.encode(pictures)

    def _decode(self, latents: Tensor) -> Tensor:
        network: TinyAutoencoder = self.held.model
        return network.decode(latents)
