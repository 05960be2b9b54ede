"""Where nothing moves in front of a camera: neither what is warm nor what is seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from fusion_core.scene_memory.matching import thermal_change
from fusion_core.types import FloatImage, UInt8Image

CELL: Final = 4
"""Edge in pixels of the cells that are still or not."""

# Change of a cell's thermal mean that is motion; a warm person is several times as far from a wall.
_HEAT: Final = 0.02
# Change of luma that is motion: of the mean of 2x2 cells that get darker, which neither rain nor
# snow makes them, and of 8x8 cells that get brighter, of which a flake or a streak covers a part.
_DARK, _DARKER = 2, 12.0
_BRIGHT, _BRIGHTER = 8, 25.0


def still(
    seen: FloatImage, usual: FloatImage, heat: FloatImage, before: Sequence[FloatImage]
) -> FloatImage:
    """Return 1 in cells where nothing moves, 0 where something does or is near.

    Args:
        seen: Means of the cells' green now, of 255.
        usual: The same of the frames before.
        heat: Thermal means of the cells now, in [0, 1].
        before: The same of frames before.
    """
    moved = np.zeros_like(heat)
    for warmth in before:
        moved = np.maximum(moved, thermal_change(warmth, heat) / _HEAT)
    for count, sign, limit in ((_DARK, -1, _DARKER), (_BRIGHT, 1, _BRIGHTER)):
        now, then = (cells(plane, count) for plane in (seen, usual))
        change = (now - then) * np.float32(sign / limit)
        moved = np.maximum(moved, cv2.resize(change, heat.shape[::-1]))
    near = cv2.dilate(moved, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.blur(np.clip(2 - 2 * near, 0, 1), (3, 3)), np.float32)


def green_cells(picture: FloatImage | UInt8Image) -> FloatImage:
    """Return the means of the cells' green, which stands for brightness, of ``HxWx3``."""
    green: FloatImage | UInt8Image = cv2.extractChannel(picture, 1)  # type: ignore[assignment]
    return cells(green)


def cells(image: FloatImage | UInt8Image, edge: int = CELL) -> FloatImage:
    """Return the means of an image's cells of this edge, float32."""
    height, width = image.shape
    size = max(1, width // edge), max(1, height // edge)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
