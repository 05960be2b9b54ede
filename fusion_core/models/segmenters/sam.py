"""Segment Anything as the segmenter: frozen, from a folder or the local cache of the hub."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.errors import WeightsError
from fusion_core.foundation import FOUNDATIONS, FrozenModel
from fusion_core.models.blocks import Prompts, View

_MEAN = (123.675, 116.28, 103.53)
_DEVIATION = (58.395, 57.12, 57.375)


class SamSegmenter(nn.Module):
    """The frozen SAM (Kirillov et al. 2023) with given prompts in the place of points and boxes.

    The whole picture is stretched to SAM's square, normalised by SAM's own mean and deviation, and
    embedded without gradient; the mask decoder passes gradients on to the prompts. Prompts go in
    as sparse embeddings beside the dense embedding of "no mask".

    Args:
        weights: Folder or hub name of a `SamModel`; the default when empty.
        dim: Width of the prompts.
    """

    def __init__(self, weights: str = "", dim: int = 256) -> None:
        super().__init__()
        self.dim = dim
        self.sam = FrozenModel(FOUNDATIONS["sam"], weights)

    @property
    def weights(self) -> str:
        """Folder or hub name of SAM's weights."""
        return self.sam.weights

    @weights.setter
    def weights(self, weights: str) -> None:
        self.sam.weights = weights

    def forward(self, view: View, prompts: Prompts) -> Tensor:
        """Return logits ``BxKxHxW``; see :class:`Segmenter`.

        Raises:
            MissingExtraError: transformers is not installed.
            WeightsError: The weights are not on this machine, or of another model.
        """
        sam: Any = self.sam.model
        self._check_width(int(sam.config.prompt_encoder_config.hidden_size))
        dense = sam.prompt_encoder.no_mask_embed.weight[:, :, None, None]
        reference = view.reference
        batch = reference.shape[0]
        with torch.no_grad():
            embedded = sam.get_image_embeddings(_pixels(reference, sam))
            position = sam.get_image_wide_positional_embeddings().repeat(batch, 1, 1, 1)
            dense = dense.expand_as(embedded)
        masks, _ = sam.mask_decoder(
            image_embeddings=embedded,
            image_positional_embeddings=position,
            sparse_prompt_embeddings=prompts.tokens,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        logits: Tensor = F.interpolate(
            masks[:, :, 0].float(), reference.shape[-2:], mode="bilinear", align_corners=False
        )
        return logits

    def _check_width(self, found: int) -> None:
        if found != self.dim:
            raise WeightsError(
                f"segmenter 'sam': {self.weights!r} takes prompts of width {found}, the fusion "
                f"network gives {self.dim}; choose other weights"
            )


def _pixels(reference: Tensor, sam: Any) -> Tensor:  # noqa: ANN401 - a SamModel
    """Return ``Bx3xSxS`` as SAM was trained on, of ``Bx1xHxW`` in [0, 1]."""
    edge = int(sam.config.vision_config.image_size)
    square = F.interpolate(reference, (edge, edge), mode="bilinear", align_corners=False)
    mean, deviation = (square.new_tensor(v)[:, None, None] for v in (_MEAN, _DEVIATION))
    return (255 * square.expand(-1, 3, -1, -1) - mean) / deviation
