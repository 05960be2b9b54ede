"""The part of a picture that is the thermal image."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from fusion_core.errors import EncodingError
from fusion_core.types import Frame

CROP_PATTERN: Final = r"^(upper|lower|\d{1,5},\d{1,5},[1-9]\d{0,4},[1-9]\d{0,4})?$"


def crop_frame(frame: Frame, crop: str) -> Frame:
    """Return a frame with only the part of its picture that a setting names.

    Args:
        frame: Frame whose image has any number of channels.
        crop: ``upper`` or ``lower`` half, or ``x,y,w,h`` in pixels; empty: all of it.

    Raises:
        EncodingError: The picture is smaller than the part.
    """
    if not crop:
        return frame
    rows, columns = frame.image.shape[:2]
    half = rows // 2
    if crop in {"upper", "lower"}:
        x, y, width, height = 0, 0 if crop == "upper" else half, columns, half
    else:
        x, y, width, height = map(int, crop.split(","))
    if x + width > columns or y + height > rows or not height:
        raise EncodingError(
            f"thermal frame of {columns}x{rows} pixels: thermal.crop {crop} lies outside; choose a "
            "part of the picture as x,y,w,h"
        )
    part = np.ascontiguousarray(frame.image[y : y + height, x : x + width])
    return replace(frame, image=part)
