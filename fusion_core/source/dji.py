"""DJI radiometric JPEG files: the raw counts in their APP3 segments.

How counts become temperatures is not documented by the maker; they are used as counts.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.transport.jpeg_file import jpeg_segments, jpeg_size

_APP1, _APP3 = 0xE1, 0xE3
_MAKER: Final = b"DJI"
_SENSORS: Final = ((512, 640), (480, 640), (256, 336), (120, 160), (1024, 1280))


def dji_counts(data: bytes) -> NDArray[np.uint16] | None:
    """Return the raw counts of a JPEG file, ``HxW``; None when it is not a radiometric one."""
    parts: list[bytes] = []
    ours = False
    for marker, payload in jpeg_segments(data):
        if marker == _APP3:
            parts.append(payload)
        ours = ours or (marker == _APP1 and _MAKER in payload)
    block = b"".join(parts)
    if not ours or not block:
        return None
    # The picture has the sensor's size, or is enlarged.
    for height, width in (jpeg_size(data) or (0, 0), *_SENSORS):
        if 2 * height * width == len(block):
            counts = np.frombuffer(block, "<u2").reshape(height, width)
            return np.ascontiguousarray(counts, np.uint16)
    return None
