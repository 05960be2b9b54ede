"""The one gray image that every metric is defined on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import EncodingError
from fusion_core.types import UInt8Image

FloatArray = NDArray[np.float64]


def to_gray(image: NDArray[Any]) -> UInt8Image:
    """Return the 8-bit gray image that is scored: round(.299 R + .587 G + .114 B).

    Args:
        image: ``HxW`` uint8 (returned as it is) or ``HxWx3`` uint8 RGB.

    Raises:
        EncodingError: The image is not 8-bit, or has another layout.
    """
    if image.dtype != np.uint8:
        raise EncodingError(
            f"metrics are defined on 8-bit images, got {image.dtype}; "
            "round and clip to 0..255 uint8 first"
        )
    if image.ndim == 2:
        return image
    if image.ndim == 3 and image.shape[2] == 3:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    raise EncodingError(f"expected an HxW or HxWx3 image, got shape {image.shape}")


def check_same_grid(images: Mapping[str, UInt8Image]) -> None:
    """Refuse images that are not 8-bit gray images of one size.

    Args:
        images: Name in messages -> image; the first is the fused one.

    Raises:
        EncodingError: A size, layout or type differs, or there is no gradient to take.
    """
    fused = next(iter(images.values()))
    if min(fused.shape) < 2:
        raise EncodingError(f"fused is {fused.shape}; metrics need at least 2x2 pixels")
    for name, image in images.items():
        if image.dtype != np.uint8 or image.ndim != 2:
            raise EncodingError(
                f"{name} must be HxW uint8, got {image.dtype} {image.shape}; use to_gray"
            )
        if image.shape != fused.shape:
            raise EncodingError(
                f"{name} is {image.shape[1]}x{image.shape[0]}, the fused image "
                f"{fused.shape[1]}x{fused.shape[0]} (width x height); metrics never resize: "
                "crop padding before scoring"
            )
