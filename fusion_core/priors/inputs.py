"""Inputs of the embedded network: a thumbnail, details at full resolution, statistics."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from fusion_core.priors.statistics import STATISTICS, picture_statistics
from fusion_core.types import UInt8Image

THUMB_ROWS, THUMB_COLUMNS = 96, 128
CROP = 64
_GRID_ROWS, _GRID_COLUMNS = 3, 4
CROPS = _GRID_ROWS * _GRID_COLUMNS
# Crops start on the grid of JPEG blocks.
_BLOCK = 8

__all__ = [
    "CROP",
    "CROPS",
    "STATISTICS",
    "THUMB_COLUMNS",
    "THUMB_ROWS",
    "ProviderInputs",
    "make_inputs",
]


@dataclass(frozen=True, slots=True)
class ProviderInputs:
    """One image, reduced to a fixed size.

    Noise, stripes, blocks and blur vanish in a thumbnail, so details come from crops at full
    resolution, spread evenly over the picture.

    Attributes:
        thumb: ``96x128xC`` uint8, the whole picture; C is 3 (RGB) or 1.
        crops: ``12x64x64`` uint8 luma at full resolution.
        statistics: ``STATISTICS`` float32 numbers, see :func:`picture_statistics`.
    """

    thumb: UInt8Image
    crops: UInt8Image
    statistics: np.ndarray


def make_inputs(picture: UInt8Image) -> ProviderInputs:
    """Reduce an image.

    Args:
        picture: ``HxWx3`` RGB or ``HxW``, uint8, of any size.
    """
    colour = picture.ndim == 3
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if colour else picture, np.uint8)
    size = (THUMB_COLUMNS, THUMB_ROWS)
    thumb = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    crops = _crops(grey)
    thumb = thumb if colour else thumb[..., None]
    return ProviderInputs(thumb, crops, picture_statistics(grey, thumb, crops))


def _crops(grey: UInt8Image) -> UInt8Image:
    """Return evenly spread squares; small pictures are mirrored until they suffice."""
    height, width = grey.shape
    if height < CROP or width < CROP:
        down, right = max(0, CROP - height), max(0, CROP - width)
        grey = np.pad(grey, ((0, down), (0, right)), mode="symmetric")
        height, width = grey.shape
    tops = _starts(height, _GRID_ROWS)
    lefts = _starts(width, _GRID_COLUMNS)
    return np.stack([grey[y : y + CROP, x : x + CROP] for y in tops for x in lefts])


def _starts(length: int, count: int) -> list[int]:
    """Return where squares begin, in the middle of equal parts, on the grid of blocks."""
    centres = (np.arange(count) + 0.5) * length / count - CROP / 2
    return [int(np.clip(start, 0, length - CROP)) // _BLOCK * _BLOCK for start in centres]
