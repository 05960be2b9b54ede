"""``compressedDepth`` images: counts or depths packed into a 16-bit PNG."""

from __future__ import annotations

import struct
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import EncodingError, UnknownEncodingError

_HEAD: Final = struct.Struct("<iff")  # kind of packing, two parameters of the quantisation


def decode_compressed_depth(name: str, raw: NDArray[np.uint8]) -> tuple[NDArray[Any], str]:
    """Turn the data of a ``compressedDepth`` message into an image.

    Args:
        name: The message's format, such as ``16UC1; compressedDepth png``.
        raw: The message's data: a head of twelve bytes, then a PNG.

    Returns:
        ``HxW`` uint16 and ``mono16``, or ``HxW`` float32 and ``32FC1``; a depth that is not known
        is NaN.

    Raises:
        EncodingError: The data are truncated or packed in another way.
    """
    if "rvl" in name.lower():
        raise UnknownEncodingError(
            f"compressed image format {name!r}: packing by RVL is not read; set "
            "compressedDepth.format to png in the publisher"
        )
    picture = None
    if raw.size > _HEAD.size:
        try:
            picture = cv2.imdecode(raw[_HEAD.size :], cv2.IMREAD_UNCHANGED)
        except cv2.error:
            picture = None
    if picture is None or picture.ndim != 2:
        raise EncodingError(
            f"compressed image ({name}, {raw.size} bytes) is truncated, or no picture at all"
        )
    if not name.lower().startswith("32fc1"):
        return picture, "mono16" if picture.dtype == np.uint16 else "mono8"
    _, scale, shift = _HEAD.unpack(raw[: _HEAD.size].tobytes())
    stored = picture.astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = np.float32(scale) / (stored - np.float32(shift))
    return np.where(picture == 0, np.float32(np.nan), depth).astype(np.float32), "32FC1"
