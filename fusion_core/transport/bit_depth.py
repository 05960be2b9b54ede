"""Visible pictures of more than eight bits: from their real depth to eight, steady in time."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.types import UInt8Image

_DEPTHS: Final = (8, 10, 12, 14, 16)


class BitDepth:
    """Significant bits of one visible stream whose samples lie in 16 bits.

    Cameras of 10, 12 or 14 bits fill a part of the container only. The first picture decides; a
    later one that holds larger values raises the depth for good. It is never lowered, so that
    brightness does not follow the scene.

    Args:
        bits: Depth to begin with, where it is known.
    """

    def __init__(self, bits: int = _DEPTHS[0]) -> None:
        self.bits = min((depth for depth in _DEPTHS if depth >= bits), default=_DEPTHS[-1])

    def include(self, image: NDArray[Any]) -> None:
        """Raise the depth until it holds all values of an image ``HxW`` or ``HxWx3`` uint16."""
        largest = int(image.max(initial=0))
        while largest >> self.bits:
            self.bits = _DEPTHS[_DEPTHS.index(self.bits) + 1]

    def to_8_bit(self, image: NDArray[Any]) -> UInt8Image:
        """Return a uint16 image with its full scale mapped to 255; raises the depth as needed."""
        self.include(image)
        return np.asarray(image >> (self.bits - 8), np.uint8)
