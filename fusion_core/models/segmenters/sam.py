"""Segment Anything as the segmenter: frozen, from a folder or the local cache of the hub."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusion_core.errors import WeightsError
from fusion_core.priors.hub import load

DEFAULT = "facebook/sam-vit-huge"
_MEAN = (123.675, 116.28, 103.53)
_DEVIATION = (58.395, 57.12, 57.375)


class SamSegmenter:
    """The frozen SAM (Kirillov et al. 2023) with given prompts in the place of points and boxes.

    The whole picture is stretched to SAM's square, normalised by SAM's own mean and deviation, and
    embedded without gradient; the mask decoder passes gradients on to the prompts. Prompts go in
    as sparse embeddings beside the dense embedding of "no mask". Weights are loaded at the first
    use, belong to no checkpoint of this project and never change.

    Args:
        weights: Folder or hub name of a `SamModel`; may be changed until the first use.
        dim: Width of the prompts.
    """

    def __init__(self, weights: str = DEFAULT, dim: int = 256) -> None:
        self.weights = weights
        self.dim = dim
        self._sam: Any = None

    def __deepcopy__(self, memo: dict[int, Any]) -> SamSegmenter:
        """Return itself: what never changes need not be copied."""
        return self

    def __call__(
        self,
        reference: Tensor,
        mask: Tensor,  # noqa: ARG002
        prompts: Tensor,
    ) -> Tensor:
        """Return logits ``BxKxHxW``; see :class:`Segmenter`. The mask itself is not looked at.

        Raises:
            MissingExtraError: transformers is not installed.
            WeightsError: The weights are not on this machine, or of another model.
        """
        sam: Any = self._loaded(reference.device)
        dense = sam.prompt_encoder.no_mask_embed.weight[:, :, None, None]
        batch = reference.shape[0]
        with torch.no_grad():
            embedded = sam.get_image_embeddings(self._pixels(reference))
            position = sam.get_image_wide_positional_embeddings().repeat(batch, 1, 1, 1)
            dense = dense.expand_as(embedded)
        masks, _ = sam.mask_decoder(
            image_embeddings=embedded,
            image_positional_embeddings=position,
            sparse_prompt_embeddings=prompts,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        logits: Tensor = F.interpolate(
            masks[:, :, 0].float(), reference.shape[-2:], mode="bilinear", align_corners=False
        )
        return logits

    def _pixels(self, reference: Tensor) -> Tensor:
        edge = int(self._sam.config.vision_config.image_size)
        square = F.interpolate(reference, (edge, edge), mode="bilinear", align_corners=False)
        mean, deviation = (square.new_tensor(v)[:, None, None] for v in (_MEAN, _DEVIATION))
        return (255 * square.expand(-1, 3, -1, -1) - mean) / deviation

    def _loaded(self, device: torch.device) -> nn.Module:
        if self._sam is None:
            sam: Any = load(
                "sam",
                self.weights,
                lambda: _model(self.weights),
                kind="segmenter",
                setting="options.segmenter_weights",
            )
            found = int(sam.config.prompt_encoder_config.hidden_size)
            if found != self.dim:
                raise WeightsError(
                    f"segmenter 'sam': {self.weights!r} takes prompts of width {found}, the fusion "
                    f"network gives {self.dim}; choose other weights"
                )
            self._sam = sam.eval().requires_grad_(requires_grad=False)
        moved: nn.Module = self._sam.to(device)
        return moved


def _model(weights: str) -> nn.Module:
    from transformers import SamModel

    found: nn.Module = SamModel.from_pretrained(weights, local_files_only=True)
    return found
