"""BLIP-2 as a provider, as in MdaIF: hidden states of the answer to a question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusion_core.errors import WeightsError
from fusion_core.foundation import FOUNDATIONS, FrozenModel
from fusion_core.priors.kinds import kinds_of
from fusion_core.priors.pixels import load_text_and_scaling, to_pixels
from fusion_core.priors.prompts import IS_GOOD, QUESTIONS, question
from fusion_core.priors.provider import Assessment
from fusion_core.types import FloatImage, Modality, UInt8Image


class Blip2Provider:
    """Assesses with BLIP-2 (Li et al. 2023) and a decoder-only language model.

    Tokens are the language model's last hidden state over the picture's queries and the question
    (S = queries + words), of the visible picture, or the thermal one when it is missing. The
    probability of a kind is that of "yes" against "no" as the answer to its question; the quality
    likewise. Not calibrated. Half precision on a GPU.

    Args:
        weights: Folder or hub name; the default when empty.
        device: ``cpu`` or ``cuda``.
        tokens_question: The question behind the tokens; the first of ``QUESTIONS`` when empty.

    Raises:
        MissingExtraError: transformers is not installed.
        WeightsError: The weights are not on this machine, or not of such a model.
    """

    name = "blip2"

    def __init__(self, weights: str = "", device: str = "cpu", tokens_question: str = "") -> None:
        self._dtype = torch.float16 if device == "cuda" else torch.float32
        frozen = FrozenModel(FOUNDATIONS["blip2"], weights, self._dtype).to(device)
        self._model: Any = frozen.model
        if not self._model.config.use_decoder_only_language_model:
            raise WeightsError(
                f"prior 'blip2': {frozen.weights!r} has an encoder-decoder language model; "
                f"give one with a decoder only, such as {frozen.kind.default}"
            )
        self._tokenizer, self._scaling = load_text_and_scaling(frozen)
        self._tokenizer.padding_side = "right"
        self._device = device
        self._tokens_question = tokens_question or QUESTIONS[0]
        self._answers = [
            self._tokenizer(word, add_special_tokens=False).input_ids[0] for word in (" yes", " no")
        ]

    @property
    def dim(self) -> int:
        """Width of the tokens."""
        return int(self._model.config.text_config.hidden_size)

    @torch.inference_mode()
    def assess(self, visible: UInt8Image | None, thermal: FloatImage | None) -> Assessment:
        """Assess one pair."""
        tokens = np.zeros((0, self.dim), np.float32)
        found: dict[Modality, dict[str, float]] = {"visible": {}, "thermal": {}}
        qualities = []
        pictures: tuple[tuple[Modality, UInt8Image | FloatImage | None], ...] = (
            ("visible", visible),
            ("thermal", thermal),
        )
        for modality, picture in pictures:
            if picture is None:
                continue
            embedded = self._embed(picture)
            kinds = kinds_of(modality)
            *scores, good = self._yes(embedded, [question(kind) for kind in kinds] + [IS_GOOD])
            found[modality] = dict(zip(kinds, scores, strict=True))
            qualities.append(good)
            if not len(tokens):
                tokens = self._hidden_states(embedded, self._tokens_question)
        quality = float(np.mean(qualities)) if qualities else 0.0
        return Assessment(found["visible"], found["thermal"], tokens, quality)

    @torch.inference_mode()
    def sweep(
        self, picture: UInt8Image | FloatImage, questions: Sequence[str] = QUESTIONS
    ) -> dict[str, FloatImage]:
        """Return the tokens per question, to compare wordings."""
        embedded = self._embed(picture)
        return {text: self._hidden_states(embedded, text) for text in questions}

    def _embed(self, picture: UInt8Image | FloatImage) -> Tensor:
        """Return a picture as ``1xQxC`` inputs of the language model."""
        model = self._model
        size = int(model.config.vision_config.image_size)
        pixels = to_pixels(picture, size, self._scaling).to(self._device, self._dtype)
        patches = model.vision_model(pixel_values=pixels).last_hidden_state
        queries = model.qformer(
            query_embeds=model.query_tokens,
            encoder_hidden_states=patches,
            encoder_attention_mask=torch.ones_like(patches[..., 0], dtype=torch.long),
        ).last_hidden_state
        projected: Tensor = model.language_projection(queries.to(self._dtype))
        return projected

    def _answer(self, embedded: Tensor, questions: Sequence[str]) -> tuple[Any, Tensor]:
        """Run the language model on a picture and questions; return its output and the mask."""
        texts = [f"Question: {text} Answer:" for text in questions]
        tokens = self._tokenizer(texts, padding=True, return_tensors="pt").to(self._device)
        words = self._model.get_input_embeddings()(tokens.input_ids)
        picture = embedded.expand(len(texts), -1, -1).to(words.dtype)
        mask = torch.cat(
            (torch.ones_like(picture[..., 0], dtype=torch.long), tokens.attention_mask), 1
        )
        output = self._model.language_model(
            inputs_embeds=torch.cat((picture, words), 1),
            attention_mask=mask,
            output_hidden_states=True,
        )
        return output, mask

    def _hidden_states(self, embedded: Tensor, text: str) -> FloatImage:
        """Return the last hidden state for one question, ``SxC``."""
        output, _ = self._answer(embedded, [text])
        return np.asarray(output.hidden_states[-1][0].float().cpu().numpy(), np.float32)

    def _yes(self, embedded: Tensor, questions: Sequence[str]) -> list[float]:
        """Return the probability of yes, against no, per question."""
        output, mask = self._answer(embedded, questions)
        last = mask.sum(1) - 1
        logits = output.logits[torch.arange(len(questions)), last][:, self._answers].float()
        found: list[float] = torch.softmax(logits, 1)[:, 0].tolist()
        return found
