"""Foundation models by kind, loaded from a folder or the local cache of the hub.

Nothing is downloaded at run time: a robot shall not fetch gigabytes when it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

import torch
from torch import nn

from fusion_core.errors import WeightsError, missing_extra
from fusion_core.foundation.packaged import MINILM, packaged_weights

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FoundationKind:
    """How one kind of pre-trained model is loaded.

    Attributes:
        title: What it is, for messages.
        load: Takes a folder or hub name and the type of the floating-point weights, and returns
            the model, from this machine only.
        default: Folder or hub name of the weights where none is given.
        setting: Where a user names a folder of weights, for messages.
    """

    title: str
    load: Callable[[str, torch.dtype], nn.Module]
    default: str
    setting: str

    def read(self, weights: str, part: Callable[[], T]) -> T:
        """Return what ``part`` imports and loads: the model, its tokenizer, its preprocessing.

        Args:
            weights: Folder or hub name, for messages.
            part: Loads from this machine only.

        Raises:
            MissingExtraError: The package is not installed.
            WeightsError: The weights are not there, torn, or of another model.
        """
        try:
            return part()
        except ImportError as error:
            raise missing_extra(self.title, error.name or "transformers", "vlm") from None
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise WeightsError(
                f"{self.title}: no usable weights at {weights!r} ({_first_line(error)}); get "
                f"them once with `hf download {weights}`, or set {self.setting} to a folder of them"
            ) from None


def _transformers(class_name: str) -> Callable[[str, torch.dtype], nn.Module]:
    """Return a loader of one class of the package transformers."""

    def load(weights: str, dtype: torch.dtype) -> nn.Module:
        import transformers

        loaded: nn.Module = getattr(transformers, class_name).from_pretrained(
            packaged_weights(weights), local_files_only=True, dtype=dtype
        )
        return loaded

    return load


def _diffusers(class_name: str) -> Callable[[str, torch.dtype], nn.Module]:
    """Return a loader of one class of the package diffusers."""

    def load(weights: str, dtype: torch.dtype) -> nn.Module:
        import diffusers

        loaded: nn.Module = getattr(diffusers, class_name).from_pretrained(
            weights, local_files_only=True, torch_dtype=dtype
        )
        return loaded

    return load


FOUNDATIONS: Final[Mapping[str, FoundationKind]] = {
    "sam": FoundationKind(
        "segmenter 'sam'",
        _transformers("SamModel"),
        "facebook/sam-vit-huge",
        "options.segmenter_weights",
    ),
    "clip": FoundationKind(
        "prior 'clip'",
        _transformers("AutoModel"),
        "openai/clip-vit-base-patch32",
        "priors.weights",
    ),
    "blip2": FoundationKind(
        "prior 'blip2'",
        _transformers("Blip2ForConditionalGeneration"),
        "Salesforce/blip2-opt-2.7b",
        "priors.weights",
    ),
    "mae": FoundationKind(
        "encoder 'mae'",
        _transformers("ViTMAEForPreTraining"),
        "facebook/vit-mae-large",
        "its weights",
    ),
    "clip-text": FoundationKind(
        "text encoder 'clip-text'",
        _transformers("CLIPTextModel"),
        "openai/clip-vit-large-patch14",
        "its weights",
    ),
    "t5": FoundationKind(
        "text encoder 't5'", _transformers("T5EncoderModel"), "google/t5-v1_1-base", "its weights"
    ),
    "minilm": FoundationKind(
        "text encoder 'minilm'", _transformers("BertModel"), MINILM, "its weights"
    ),
    "kl": FoundationKind(
        "codec 'kl'", _diffusers("AutoencoderKL"), "stabilityai/sd-vae-ft-mse", "its weights"
    ),
    "tiny": FoundationKind(
        "codec 'tiny'", _diffusers("AutoencoderTiny"), "madebyollin/taef1", "its weights"
    ),
    "cosmos": FoundationKind(
        "codec 'cosmos'",
        _diffusers("AutoencoderKLCosmos"),
        "nvidia/Cosmos-1.0-Tokenizer-CV8x8x8",
        "its weights",
    ),
}
"""Kind -> how it is loaded."""


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
