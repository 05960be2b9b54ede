"""Masks made from the frame itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from fusion_core.types import Box, FloatImage

# Regions are found in the thermal image at this width, less its surround of a quarter of that.
_WIDTH = 160
_SURROUND = 41
# A region stands out by this many deviations of the whole picture from its surround, and by at
# least this share of the thermal range.
_DEVIATIONS, _LEAST = 2.0, 0.08


def hot_regions(thermal: FloatImage) -> FloatImage:
    """Return the regions that are clearly hotter than their surround, ``HxW`` in {0, 1}.

    A person, an engine, a lamp; not the sky, nor a sunlit wall that fills a quarter of the picture.

    Args:
        thermal: ``HxW`` float32 in [0, 1], hot is bright.
    """
    height, width = thermal.shape
    small_height = max(1, round(_WIDTH * height / width))
    small = cv2.resize(thermal, (_WIDTH, small_height), interpolation=cv2.INTER_AREA)
    contrast = small - cv2.blur(small, (_SURROUND, _SURROUND))
    least = max(_LEAST, _DEVIATIONS * float(contrast.std()))
    # Interpolation of the contrast, not of the mask, puts the border where the contrast ends.
    full = cv2.resize(contrast, (width, height), interpolation=cv2.INTER_LINEAR)
    hot = (full > least).astype(np.uint8)
    edge = 1 + 2 * max(1, width // 400)
    hot = np.asarray(cv2.morphologyEx(hot, cv2.MORPH_OPEN, np.ones((edge, edge), np.uint8)))
    return hot.astype(np.float32)


def fill_boxes(boxes: Sequence[Box], height: int, width: int) -> FloatImage:
    """Return boxes filled with 1 on a picture of 0, ``HxW``.

    A pixel is filled when its middle lies in a box.

    Args:
        boxes: Left, top, width, height in pixels.
        height: Rows of the picture.
        width: Columns of the picture.
    """
    mask = np.zeros((height, width), np.float32)
    for left, top, wide, high in boxes:
        edges = (left, top, left + wide, top + high)
        x0, y0, x1, y1 = (max(0, math.ceil(edge - 0.5)) for edge in edges)
        mask[y0:y1, x0:x1] = 1
    return mask
