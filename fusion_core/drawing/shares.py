"""Which source a picture was made of, as colours."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from fusion_core.types import FloatImage, UInt8Image

SOURCE_COLOURS: Final = {
    "blue": (0, 114, 178),
    "orange": (230, 159, 0),
    "green": (0, 158, 115),
    "yellow": (240, 228, 66),
    "purple": (204, 121, 167),
    "red": (213, 94, 0),
    "sky": (86, 180, 233),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
}
"""Colour of the first, second, ... source, RGB; of Okabe and Ito, as far as they go."""


def draw_shares(shares: FloatImage, size: tuple[int, int]) -> UInt8Image:
    """Return shares as colours, ``HxWx3`` uint8 RGB; a mixture has the mixed colour.

    Args:
        shares: ``Nxhxw`` in [0, 1], sum 1, of up to nine sources; a coarse map stays in blocks.
        size: Width and height of the picture.
    """
    colours = np.array(list(SOURCE_COLOURS.values())[: len(shares)], np.float32)
    mixed = np.tensordot(shares, colours, (0, 0))
    drawn = np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)
    return np.asarray(cv2.resize(drawn, size, interpolation=cv2.INTER_NEAREST), np.uint8)
