"""Structure of JPEG files: segments, size, and whether the picture is complete."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

SOI: Final = b"\xff\xd8"
_EOI: Final = b"\xff\xd9"
_SOS, _DRI = 0xDA, 0xDD
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
# In the entropy-coded part 0xFF is stuffed, so that everything else after it is a real marker.
_MARKER: Final = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
_RESTART: Final = re.compile(rb"\xff([\xd0-\xd7])")
_FILLERS: Final = (b"\x00" * 64, b"\x55" * 64)


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Iterate over ``(marker, payload)`` of a JPEG up to its first scan, without the scan."""
    for marker, start, end in _segments(data):
        if marker == _SOS:
            return
        yield marker, data[start:end]


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return ``(height, width)`` as the header states it, None when there is none."""
    for marker, payload in jpeg_segments(data):
        if marker in _FRAMES and len(payload) >= 5:
            return int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big")
    return None


def jpeg_end(data: bytes) -> int | None:
    """Return the offset behind the end mark of the first picture, None where it has none.

    What follows is not part of the picture: cameras append counts, a preview or a second picture.
    """
    for marker, start, _ in _segments(data):
        if marker == 0xD9:
            return start
    return None


def with_endings(data: bytes) -> list[bytes]:
    """Return a JPEG that lacks its end mark with several fillers and an end mark behind it.

    The decoded pictures are equal when all of the picture is there, because then the fillers are
    not part of it. Where pixels are missing, each filler is decoded to other pixels.
    """
    endings = list(_FILLERS)
    if any(marker == _DRI for marker, _ in jpeg_segments(data)):
        # After a whole interval the decoder waits for the next restart mark.
        last = [match[1][0] for match in _RESTART.finditer(data)]
        following = 0xD0 + ((last[-1] - 0xD0 + 1) % 8 if last else 0)
        endings += [bytes((0xFF, following)) + filler for filler in _FILLERS]
    return [data.removesuffix(b"\xff") + ending + _EOI for ending in endings]


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Iterate over marker and payload's range; that of a bare marker is empty, behind it."""
    position = len(SOI)
    while True:
        match = _MARKER.search(data, position)
        if match is None:
            return
        marker, position = match[1][0], match.end()
        if marker in _BARE or marker in {0xD8, 0xD9}:
            yield marker, position, position
            if marker == 0xD9:
                return
            continue
        length = int.from_bytes(data[position : position + 2], "big")
        if length < 2 or position + length > len(data):
            return
        yield marker, position + 2, position + length
        position += length
