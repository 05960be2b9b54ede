"""Words and pictures as the large public models take them."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_core.foundation import FrozenModel
from fusion_core.types import FloatImage, UInt8Image

Scaling = tuple[list[float], list[float]]


def load_text_and_scaling(frozen: FrozenModel) -> tuple[Any, Scaling]:
    """Return the tokenizer that lies beside a model's weights, and the scaling of its pictures.

    Raises:
        WeightsError: They are not there.
    """
    from transformers import AutoTokenizer

    weights = frozen.weights
    return frozen.kind.read(
        weights,
        lambda: (
            AutoTokenizer.from_pretrained(weights, local_files_only=True),
            normalisation(weights),
        ),
    )


def normalisation(weights: str) -> Scaling:
    """Return mean and deviation per colour that the pictures of a model are normalised with."""
    from transformers.image_processing_base import ImageProcessingMixin

    found, _ = ImageProcessingMixin.get_image_processor_dict(weights, local_files_only=True)
    return found["image_mean"], found["image_std"]


def to_pixels(picture: UInt8Image | FloatImage, size: int, scaling: Scaling) -> Tensor:
    """Return ``1x3xSxS`` normalised pixels of a whole picture; a thermal one becomes gray.

    Args:
        picture: ``HxWx3`` uint8 RGB, or ``HxW`` float32 in [0, 1].
        size: Edge S in pixels.
        scaling: Mean and deviation per colour.
    """
    values = picture.astype(np.float32)
    if picture.dtype == np.uint8:
        values /= 255
    small = cv2.resize(values, (size, size), interpolation=cv2.INTER_AREA)
    colours = small if small.ndim == 3 else np.repeat(small[..., None], 3, axis=2)
    mean, deviation = (np.asarray(entry, np.float32) for entry in scaling)
    return torch.from_numpy((colours - mean) / deviation).permute(2, 0, 1)[None].contiguous()
