"""Autoencoders of the package diffusers as codecs, from a folder or the local cache of the hub."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fusion_core.foundation import FOUNDATIONS
from fusion_core.models.mmaif.codec.frozen import FrozenCodec


class DiffusersCodec(FrozenCodec):
    """A frozen autoencoder of diffusers.

    The latents are brought to about mean 0 and deviation 1 by what its configuration states: a
    mean and a deviation per channel, or a shift and a factor.

    Args:
        kind: ``kl`` (Stable Diffusion, FLUX), ``tiny`` (TAESD and its kin) or ``cosmos``.
        weights: Folder or hub name; the kind's default when empty.
    """

    def __init__(self, kind: str, weights: str = "") -> None:
        super().__init__(FOUNDATIONS[kind], weights)

    @property
    def channels(self) -> int:
        """Channels of a latent."""
        return int(self.held.model.config.latent_channels)

    @property
    def factor(self) -> int:
        """Edge in pixels of a cell of a latent."""
        config = self.held.model.config
        if "spatial_compression_ratio" in config:
            return int(config.spatial_compression_ratio)
        widths = config.get("block_out_channels") or config.encoder_block_out_channels
        return int(2 ** (len(widths) - 1))

    def _encode(self, pictures: Tensor) -> Tensor:
        model = self.held.model
        made = model.encode(self._framed(2 * pictures - 1))
        # Autoencoders that learn a distribution give that; its mode is what they are surest of.
        latents = made.latents if hasattr(made, "latents") else made.latent_dist.mode()
        mean, deviation = self._statistics(latents)
        return self._unframed((latents - mean) / deviation)

    def _decode(self, latents: Tensor) -> Tensor:
        framed = self._framed(latents)
        mean, deviation = self._statistics(framed)
        made: Tensor = self.held.model.decode(framed * deviation + mean).sample
        return self._unframed(made) / 2 + 0.5

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return what mean and deviation the latents have."""
        config: Any = self.held.model.config
        mean, deviation = config.get("latents_mean"), config.get("latents_std")
        if mean is None or deviation is None:
            mean = [config.get("shift_factor") or 0.0]
            deviation = [1 / (config.get("scaling_factor") or 1.0)]
        # Configurations of videos give the values of several frames, one after the other.
        values = (like.new_tensor(list(part)[: like.shape[1]]) for part in (mean, deviation))
        ones = (1,) * (like.dim() - 2)
        mean, deviation = (part.reshape(1, -1, *ones) for part in values)
        return mean, deviation

    def _framed(self, x: Tensor) -> Tensor:
        """Return ``BxCx1xHxW`` for a codec of videos, a picture being its first frame."""
        return x[:, :, None] if self._of_videos else x

    def _unframed(self, x: Tensor) -> Tensor:
        return x[:, :, 0] if self._of_videos else x

    @property
    def _of_videos(self) -> bool:
        return "temporal_compression_ratio" in self.held.model.config
