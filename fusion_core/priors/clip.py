"""CLIP or SigLIP as a provider: degradations and quality by sentences, without training."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fusion_core.errors import WeightsError
from fusion_core.foundation import FOUNDATIONS, FrozenModel
from fusion_core.priors.kinds import kinds_of
from fusion_core.priors.pixels import load_text_and_scaling, to_pixels
from fusion_core.priors.prompts import BAD, GOOD, Contrast, contrast
from fusion_core.priors.provider import Assessment
from fusion_core.types import FloatImage, Modality, UInt8Image

_MODALITIES: tuple[Modality, ...] = ("visible", "thermal")


class ClipProvider:
    """Compares an image with sentences for and against each degradation (Radford et al. 2021).

    The probability of a kind is ``sigmoid(s (cos(I, T+) - cos(I, T-)))``, T the normalised mean
    over its sentences and s the model's own logit scale; the quality is M2PN's score, the same of
    general sentences. Not calibrated. Tokens are the patch tokens of the visible picture, those of
    the thermal one when it is missing.

    Args:
        weights: Folder or hub name of a CLIP or SigLIP model; the default when empty.
        device: ``cpu`` or ``cuda``.

    Raises:
        MissingExtraError: transformers is not installed.
        WeightsError: The weights are not on this machine, or not of such a model.
    """

    name = "clip"

    def __init__(self, weights: str = "", device: str = "cpu") -> None:
        frozen = FrozenModel(FOUNDATIONS["clip"], weights).to(device)
        self._model = frozen.model
        if not hasattr(self._model, "logit_scale"):
            found = type(self._model).__name__
            raise WeightsError(
                f"prior 'clip': {frozen.weights!r} holds a {found}; give a CLIP or SigLIP"
            )
        self._tokenizer, self._scaling = load_text_and_scaling(frozen)
        self._device = device
        self._scale = float(self._model.logit_scale.exp())
        self._directions = {
            modality: torch.stack(
                [self._direction(contrast(kind, modality)) for kind in kinds_of(modality)]
            )
            for modality in _MODALITIES
        }
        self._quality = self._direction((GOOD, BAD))

    @property
    def dim(self) -> int:
        """Width of the tokens."""
        return int(self._model.config.vision_config.hidden_size)

    @torch.inference_mode()
    def assess(self, visible: UInt8Image | None, thermal: FloatImage | None) -> Assessment:
        """Assess one pair."""
        tokens = np.zeros((0, self.dim), np.float32)
        found: dict[Modality, dict[str, float]] = {"visible": {}, "thermal": {}}
        qualities = []
        pictures = zip(_MODALITIES, (visible, thermal), strict=True)
        for modality, picture in pictures:
            if picture is None:
                continue
            embedded, patches = self._embed(picture)
            scores = torch.sigmoid(self._scale * (self._directions[modality] @ embedded)).tolist()
            found[modality] = dict(zip(kinds_of(modality), scores, strict=True))
            qualities.append(float(torch.sigmoid(self._scale * (self._quality @ embedded))))
            tokens = tokens if len(tokens) else patches
        quality = float(np.mean(qualities)) if qualities else 0.0
        return Assessment(found["visible"], found["thermal"], tokens, quality)

    def _embed(self, picture: UInt8Image | FloatImage) -> tuple[Tensor, FloatImage]:
        """Return the normalised embedding of a picture and its patch tokens."""
        size = int(self._model.config.vision_config.image_size)
        pixels = to_pixels(picture, size, self._scaling).to(self._device)
        features = self._model.get_image_features(pixel_values=pixels)
        patches = features.last_hidden_state[0].float().cpu().numpy()
        return F.normalize(features.pooler_output[0].float(), dim=0), np.asarray(
            patches, np.float32
        )

    @torch.inference_mode()
    def _direction(self, sentences: Contrast) -> Tensor:
        """Return the difference of the normalised mean embeddings of two lists of sentences."""
        longest = int(self._model.config.text_config.max_position_embeddings)
        means = []
        for texts in sentences:
            tokens = self._tokenizer(
                list(texts),
                padding="max_length",
                max_length=longest,
                truncation=True,
                return_tensors="pt",
            ).to(self._device)
            found = self._model.get_text_features(**tokens).pooler_output.float()
            means.append(F.normalize(F.normalize(found, dim=1).mean(0), dim=0))
        return means[0] - means[1]
