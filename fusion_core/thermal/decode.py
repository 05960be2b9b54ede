"""What a thermal frame holds: one channel of counts, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import EncodingError
from fusion_core.types import Frame

_LAYOUTS: Final = {
    "mono8": (np.uint8, 2),
    "8UC1": (np.uint8, 2),
    "mono16": (np.uint16, 2),
    "16UC1": (np.uint16, 2),
    "32FC1": (np.float32, 2),
    "rgb8": (np.uint8, 3),
}
_GRAY_TOLERANCE = 6  # mean channel difference that chroma compression of a gray video stays below


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """One channel as the camera gave it.

    Attributes:
        image: ``HxW`` uint8, uint16 or float32.
        colour_mapped: It was a picture in false colours; the counts are its luma.
    """

    image: NDArray[Any]
    colour_mapped: bool = False


def read_counts(frame: Frame) -> Counts:
    """Return the frame's single channel.

    Raises:
        EncodingError: The encoding is unknown, or the array does not have its layout.
    """
    image = frame.image
    if frame.encoding not in _LAYOUTS:
        known = ", ".join(_LAYOUTS)
        raise EncodingError(
            f"thermal frame: encoding {frame.encoding!r} is not one of {known}; "
            "convert the stream to one of them"
        )
    dtype, axes = _LAYOUTS[frame.encoding]
    fits = image.dtype == dtype and image.ndim == axes and image.size > 0
    if not fits or (axes == 3 and image.shape[2] != 3):
        raise EncodingError(
            f"thermal frame: {frame.encoding} is {np.dtype(dtype).name} with {axes} axes, "
            f"got {image.dtype.name} {'x'.join(map(str, image.shape))}"
        )
    if axes == 2:
        return Counts(image)
    luma = np.asarray(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY))
    sample = image[::8, ::8].astype(np.int16)
    difference = np.abs(sample - sample[..., 1:2]).mean()
    return Counts(luma, colour_mapped=bool(difference > _GRAY_TOLERANCE))
