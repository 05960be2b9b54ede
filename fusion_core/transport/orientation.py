"""The orientation that a picture file declares (EXIF), and how to apply it."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.transport.jpeg_file import SOI, jpeg_segments
from fusion_core.transport.tiff_file import tiff_pages

PNG: Final = b"\x89PNG\r\n\x1a\n"
_EXIF: Final = b"Exif\0\0"
_APP1: Final = 0xE1
_RAW_PROFILE: Final = re.compile(rb"\s*(?:exif|APP1|generic)?\s*[0-9]+\s+([0-9a-fA-F\s]+)")
_LONGEST_PROFILE: Final = 1 << 20


def read_orientation(data: bytes) -> int:
    """Return the EXIF orientation of a JPEG, PNG or WebP file, 1 to 8; 1 where it has none.

    That of a TIFF file is a property of its pages, see ``TiffPage``.
    """
    exif = exif_block(data)
    pages = tiff_pages(exif) if exif else []
    orientation = pages[0].orientation if pages else 1
    return orientation if 1 <= orientation <= 8 else 1


def upright(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return an image of which the file says that it is stored in an orientation.

    Args:
        image: ``HxW`` or ``HxWxC`` as stored.
        orientation: 1 upright, 2 mirrored, 3 turned by 180 degrees, 4 upside down mirrored,
            5 transposed, 6 to be turned clockwise, 7 transposed the other way, 8 to be turned
            counter-clockwise. Other values are taken for 1.

    Returns:
        The image as it is to be seen; contiguous.
    """
    if orientation in {5, 6, 7, 8}:
        image = image.swapaxes(0, 1)
    if orientation in {2, 3, 6, 7}:
        image = image[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        image = image[::-1]
    return np.ascontiguousarray(image)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Iterate over name and content of the chunks of a PNG file; a torn one ends it."""
    position = len(PNG)
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        if position + 12 + length > len(data):
            return
        yield name, data[position + 8 : position + 8 + length]
        position += 12 + length


def riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Iterate over name and content of the chunks of a WebP file."""
    position = 12
    while position + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, position)
        yield name, data[position + 8 : position + 8 + length]
        position += 8 + length + length % 2


def exif_block(data: bytes) -> bytes | None:
    """Return the EXIF data, which are a small TIFF file."""
    if data.startswith(SOI):
        for marker, payload in jpeg_segments(data):
            if marker == _APP1 and payload.startswith(_EXIF):
                return payload[len(_EXIF) :]
    elif data.startswith(PNG):
        for name, content in png_chunks(data):
            if name == b"eXIf":
                return content.removeprefix(_EXIF)
            if name in {b"zTXt", b"tEXt"} and content.startswith(b"Raw profile type "):
                block = _raw_profile(name, content)
                if block is not None:
                    return block
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        for name, content in riff_chunks(data):
            if name == b"EXIF":
                return content.removeprefix(_EXIF)
    return None


def _raw_profile(name: bytes, content: bytes) -> bytes | None:
    """Return EXIF data that an older writer put into a PNG file as hexadecimal text."""
    _, _, text = content.partition(b"\0")
    if name == b"zTXt":
        try:
            text = zlib.decompressobj().decompress(text[1:], _LONGEST_PROFILE)
        except zlib.error:
            return None
    match = _RAW_PROFILE.fullmatch(text)
    if match is None:
        return None
    digits = b"".join(match[1].split())
    block = bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii"))
    return block.removeprefix(_EXIF) if block.startswith(_EXIF) else None
