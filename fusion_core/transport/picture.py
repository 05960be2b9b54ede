"""Picture files to arrays: upright, with all their levels, bounded in size."""

from __future__ import annotations

import struct
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import EncodingError
from fusion_core.transport.jpeg_file import SOI, jpeg_end, jpeg_size, with_endings
from fusion_core.transport.orientation import (
    PNG,
    png_chunks,
    read_orientation,
    riff_chunks,
    upright,
)
from fusion_core.transport.tiff_file import MAGICS, TiffPage, frame_pages, plain_page

# Fusing takes about 150 bytes per pixel of the visible picture: 2 GB at this size.
MAX_PIXELS: Final = 4096 * 3072
# Decoded before it is reduced, with up to six bytes per pixel.
MAX_DECODED_PIXELS: Final = 16 * MAX_PIXELS
_VIEWS: Final = {
    (16, 2): np.int16,
    (16, 3): np.float16,
    (32, 1): np.uint32,
    (32, 2): np.int32,
    (32, 3): np.float32,
}


def decode_picture(
    data: bytes, page: int = 0, *, limit: int = MAX_PIXELS, flags: int = cv2.IMREAD_UNCHANGED
) -> NDArray[Any]:
    """Decode one picture of a file, turned as the file declares.

    Args:
        data: The file: JPEG, PNG, TIFF, WebP, BMP or PNM.
        page: Index among the pages of a TIFF file that are frames.
        limit: Largest number of pixels.
        flags: OpenCV's, for pictures that are wanted gray or in colour.

    Returns:
        ``HxW``, or ``HxWx3`` or ``HxWx4`` in OpenCV's order of channels; of the file's type.

    Raises:
        EncodingError: The picture is truncated, larger than the limit, or none.
    """
    tiff: TiffPage | None = None
    if data[:4] in MAGICS:
        pages = frame_pages(data)
        if page >= len(pages):
            raise EncodingError(f"TIFF file of {len(pages)} pages has no page {page + 1}")
        tiff = pages[page]
    _check_size(data, tiff, limit)
    if tiff is not None:
        picture = _decode(plain_page(data, tiff), flags)
        orientation = tiff.orientation
    else:
        picture = _decode_jpeg(data, flags) if data.startswith(SOI) else _decode(data, flags)
        orientation = read_orientation(data)
    if picture is None:
        raise EncodingError(f"picture ({len(data)} bytes) is truncated, or no picture at all")
    view = _VIEWS.get((tiff.bits, tiff.sample_format)) if tiff is not None else None
    if view is not None and picture.dtype.itemsize == np.dtype(view).itemsize:
        picture = picture.view(view)
    return upright(picture, orientation)


def picture_size(data: bytes) -> tuple[int, int] | None:
    """Return ``(height, width)`` as the header states it, None where it is not understood."""
    if data.startswith(SOI):
        return jpeg_size(data)
    try:
        if data.startswith(PNG):
            width, height = struct.unpack_from(">II", data, 16)
        elif data.startswith(b"BM"):
            width, height = struct.unpack_from("<ii", data, 18)
        elif data.startswith(b"RIFF"):
            return _webp_size(data)
        elif data[:1] == b"P":
            words = b" ".join(line.partition(b"#")[0] for line in data[:1024].split(b"\n"))
            width, height = (int(word) for word in words.split()[1:3])
        else:
            return None
    except (struct.error, ValueError):
        return None
    return abs(height), abs(width)


def bounded(image: NDArray[Any], limit: int = MAX_PIXELS) -> NDArray[Any]:
    """Return an image reduced by the smallest whole factor that brings it below a limit."""
    factor = 1
    while image.shape[0] // factor * (image.shape[1] // factor) > limit:
        factor += 1
    if factor == 1:
        return image
    size = (image.shape[1] // factor, image.shape[0] // factor)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def significant_bits(data: bytes) -> int:
    """Return the bits per sample that a PNG file declares as real (sBIT), 0 where it does not."""
    if data.startswith(PNG):
        for name, content in png_chunks(data):
            if name == b"sBIT":
                return max(content, default=0)
            if name == b"IDAT":
                break
    return 0


def is_animated(data: bytes) -> bool:
    """Return whether a PNG or WebP file holds several pictures, of which one is decoded."""
    if data.startswith(PNG):
        for name, _ in png_chunks(data):
            if name in {b"acTL", b"IDAT"}:
                return name == b"acTL"
    elif data.startswith(b"RIFF"):
        return any(name == b"ANIM" for name, _ in riff_chunks(data))
    return False


def _decode(data: bytes, flags: int) -> NDArray[Any] | None:
    """Decode as stored, without a turn."""
    if flags != cv2.IMREAD_UNCHANGED:
        flags |= cv2.IMREAD_IGNORE_ORIENTATION
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:
        return None
    return None if picture is None else np.asarray(picture)


def _decode_jpeg(data: bytes, flags: int) -> NDArray[Any] | None:
    """Decode a JPEG that is complete; decoders fill the rest of a truncated one with gray."""
    end = jpeg_end(data)
    if end is not None:
        return _decode(data[:end], flags)
    first, *others = (_decode(variant, flags) for variant in with_endings(data))
    if first is None or any(o is None or not np.array_equal(first, o) for o in others):
        return None
    return first


def _check_size(data: bytes, page: TiffPage | None, limit: int) -> None:
    size = picture_size(data) if page is None else (page.height, page.width)
    if size is not None and size[0] * size[1] > limit:
        raise EncodingError(
            f"picture of {size[1]}x{size[0]} pixels: the limit is {limit / 1e6:.1f} megapixels; "
            "reduce it first"
        )


def _webp_size(data: bytes) -> tuple[int, int] | None:
    for name, content in riff_chunks(data):
        if name == b"VP8X" and len(content) >= 10:
            return (
                1 + int.from_bytes(content[7:10], "little"),
                1 + int.from_bytes(content[4:7], "little"),
            )
        if name == b"VP8L" and len(content) >= 5:
            packed = int.from_bytes(content[1:5], "little")
            return 1 + (packed >> 14 & 0x3FFF), 1 + (packed & 0x3FFF)
        if name == b"VP8 " and len(content) >= 10:
            width, height = struct.unpack_from("<HH", content, 6)
            return height & 0x3FFF, width & 0x3FFF
    return None
