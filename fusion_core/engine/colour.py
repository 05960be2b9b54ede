"""Show a fused luma in the colours of a picture."""

from __future__ import annotations

from functools import reduce
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.types import UInt8Image

_GRAY: Final = np.float32(128)
_ROUNDING: Final = 1
_LEAST: Final = np.float32(1e-6)


def to_rgb(luma: UInt8Image, ycrcb: UInt8Image) -> UInt8Image:
    """Return ``HxWx3`` RGB that shows a luma, to a rounding, in the colours of another picture.

    Where luma and chroma together leave the range of RGB, clipping would take contrast from the
    luma, of a warm person before a coloured wall for example. There the chroma shrinks instead,
    just as far as it has to; the hue stays.

    Args:
        luma: ``HxW``.
        ycrcb: ``HxWx3`` (BT.601, full); the luma takes the place of its own.
    """
    cv2.insertChannel(luma, ycrcb, 0)
    image = np.asarray(cv2.cvtColor(ycrcb, cv2.COLOR_YCrCb2RGB), np.uint8)
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    outside = np.flatnonzero(cv2.absdiff(gray, luma, dst=gray) > _ROUNDING)
    if len(outside):
        light, cr, cb = ycrcb.reshape(-1, 3).take(outside, axis=0).T.astype(np.float32)
        cr, cb = cr - _GRAY, cb - _GRAY
        offsets = (1.403 * cr, -0.714 * cr - 0.344 * cb, 1.773 * cb)  # of red, green and blue
        up, down = reduce(np.maximum, offsets), -reduce(np.minimum, offsets)
        share = np.minimum((255 - light) / np.maximum(up, _LEAST), light / np.maximum(down, _LEAST))
        share = np.minimum(share, 1)
        channels = [np.rint(light + share * offset) for offset in offsets]
        image.reshape(-1, 3)[outside] = np.stack(channels, 1, dtype=np.uint8, casting="unsafe")
    return image


def to_uint8(image: NDArray[np.floating[Any]]) -> UInt8Image:
    """Quantise [0, 1] to 0..255, rounding."""
    return np.asarray(np.clip(np.rint(image * 255), 0, 255), np.uint8)
