"""Load large public models from a folder or the local cache of the hub, never from the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor

from fusion_core.errors import WeightsError, missing_extra
from fusion_core.types import FloatImage, UInt8Image

T = TypeVar("T")


def load(
    provider: str,
    weights: str,
    part: Callable[[], T],
    *,
    kind: str = "prior",
    setting: str = "priors.weights",
) -> T:
    """Return a part of a model; say what is missing, where it was looked for, how to get it.

    Nothing is downloaded at run time: a robot shall not fetch gigabytes when it starts.

    Args:
        provider: Name of the provider, for the message.
        weights: Folder or hub name.
        part: Imports and loads, with ``local_files_only``.
        kind: What the provider is, for the message.
        setting: Where a folder of weights can be named, for the message.

    Raises:
        MissingExtraError: The package is not installed.
        WeightsError: The weights are not there, torn, or of another model.
    """
    try:
        return part()
    except ImportError as error:
        package = error.name or "transformers"
        raise missing_extra(f"{kind} {provider!r}", package, "vlm") from None
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{kind} {provider!r}: no usable weights at {weights!r} ({_first_line(error)}); get "
            f"them once with `hf download {weights}`, or set {setting} to a folder of them"
        ) from None


def normalisation(weights: str) -> tuple[list[float], list[float]]:
    """Return mean and deviation per colour that the pictures of a model are normalised with."""
    from transformers.image_processing_base import ImageProcessingMixin

    found, _ = ImageProcessingMixin.get_image_processor_dict(weights, local_files_only=True)
    return found["image_mean"], found["image_std"]


def to_pixels(
    picture: UInt8Image | FloatImage, size: int, scaling: tuple[list[float], list[float]]
) -> Tensor:
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


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
