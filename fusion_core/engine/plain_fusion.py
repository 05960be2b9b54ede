"""What is shown of a pair that no network fuses."""

from __future__ import annotations

import cv2
import numpy as np

from fusion_core.engine.colour import to_rgb, to_uint8
from fusion_core.types import AlignedPair, UInt8Image


def single_picture(pair: AlignedPair) -> UInt8Image | None:
    """Return the only picture of a pair as ``HxWx3`` uint8 RGB, None where both are there."""
    if pair.visible is None:
        assert pair.thermal is not None, "a pair has at least one side"
        return np.asarray(cv2.cvtColor(to_uint8(pair.thermal), cv2.COLOR_GRAY2RGB), np.uint8)
    return pair.visible if pair.thermal is None else None


def mean_picture(pair: AlignedPair) -> UInt8Image:
    """Return the mean of both lumas under the visible chroma, ``HxWx3`` uint8 RGB.

    The plainest fusion that shows what either camera sees, in a millisecond. Where the thermal
    camera does not see, the visible picture stays as it is.

    Args:
        pair: A pair of both sides.
    """
    assert pair.visible is not None, "both sides are there"
    assert pair.thermal is not None, "both sides are there"
    ycrcb = np.asarray(cv2.cvtColor(pair.visible, cv2.COLOR_RGB2YCrCb), np.uint8)
    luma = cv2.extractChannel(ycrcb, 0)
    heat = cv2.convertScaleAbs(pair.thermal, alpha=255)
    mean = cv2.addWeighted(luma, 0.5, heat, 0.5, 0)
    if not pair.valid.all():
        mean = np.where(pair.valid, mean, luma)
    return to_rgb(np.asarray(mean, np.uint8), ycrcb)
