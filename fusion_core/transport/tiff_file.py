"""Structure of TIFF files: pages and the tags that say how their pixels are read.

Libraries differ in which sample formats, pages and orientations they honour. The tags are therefore
read here, and a copy of the file is handed to the decoder in which they have one plain meaning.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from mmap import mmap
from typing import Final

from fusion_core.errors import EncodingError

MAGICS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_NEW_SUBFILE_TYPE, _WIDTH, _HEIGHT, _BITS, _ORIENTATION, _FORMAT = 254, 256, 257, 258, 274, 339
_EXIF, _EXPOSURE_TIME, _RATIONAL = 34665, 33434, 5
_TYPES: Final = {1: "B", 3: "H", 4: "I", _RATIONAL: "II", 16: "Q"}
_MOST_PAGES: Final = 100_000


@dataclass(frozen=True, slots=True)
class TiffPage:
    """One picture of a TIFF file.

    Attributes:
        offset: Of its directory in the file.
        height: Rows.
        width: Columns.
        bits: Bits per sample.
        sample_format: 1 unsigned, 2 signed, 3 floating point.
        orientation: EXIF orientation, 1 to 8.
        reduced: It is a preview of another page.
    """

    offset: int
    height: int
    width: int
    bits: int
    sample_format: int
    orientation: int
    reduced: bool


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a file writes numbers: classic TIFF or BigTIFF, in one byte order."""

    order: str
    big: bool

    @property
    def offset_type(self) -> str:
        return self.order + ("Q" if self.big else "I")

    @property
    def first(self) -> int:
        """Where the offset of the first directory stands."""
        return 8 if self.big else 4


def tiff_pages(data: bytes | mmap) -> list[TiffPage]:
    """Return the pages of a TIFF file in order; empty when it is none or broken."""
    if data[:4] not in MAGICS:
        return []
    shape = _shape(data)
    pages: list[TiffPage] = []
    seen: set[int] = set()
    try:
        (offset,) = struct.unpack_from(shape.offset_type, data, shape.first)
        while offset and offset not in seen and len(pages) < _MOST_PAGES:
            seen.add(offset)
            places, following = _directory(data, offset, shape)
            pages.append(_page(data, offset, places, shape))
            (offset,) = struct.unpack_from(shape.offset_type, data, following)
    except (struct.error, OverflowError):
        pass
    return pages


def tiff_exposure_s(data: bytes | mmap) -> float | None:
    """Return the exposure time of the first page in seconds, None where it states none."""
    if data[:4] not in MAGICS:
        return None
    shape = _shape(data)
    try:
        (offset,) = struct.unpack_from(shape.offset_type, data, shape.first)
        places, _ = _directory(data, offset, shape)
        if _EXPOSURE_TIME not in places and _EXIF in places:
            (offset,) = struct.unpack_from(shape.offset_type, data, places[_EXIF][2])
            places, _ = _directory(data, offset, shape)
        kind, _, place = places.get(_EXPOSURE_TIME, (0, 0, 0))
        if kind != _RATIONAL:
            return None
        over, under = struct.unpack_from(shape.order + "II", data, place)
    except (struct.error, OverflowError):
        return None
    return over / under if under else None


def frame_pages(data: bytes | mmap) -> list[TiffPage]:
    """Return the pages that are frames: all of the first page's size and type but previews."""
    pages = [page for page in tiff_pages(data) if not page.reduced] or tiff_pages(data)[:1]
    kinds = [(page.height, page.width, page.bits, page.sample_format) for page in pages]
    return [page for page, kind in zip(pages, kinds, strict=True) if kind == kinds[0]]


def plain_page(data: bytes, page: TiffPage) -> bytes:
    """Return a copy of the file that begins with one page, upright and of plain samples.

    Samples of 16 bits become unsigned and those of 32 bits floating point, which decoders hand on
    unchanged: the caller views them as what they are.

    Raises:
        EncodingError: A tag lies beyond the end of the file.
    """
    shape = _shape(data)
    copy = bytearray(data)
    try:
        struct.pack_into(shape.offset_type, copy, shape.first, page.offset)
        places, _ = _directory(data, page.offset, shape)
        if _ORIENTATION in places:
            struct.pack_into(shape.order + "H", copy, places[_ORIENTATION][2], 1)
        plain = {16: 1, 32: 3}.get(page.bits)
        if plain is not None and _FORMAT in places:
            _, count, place = places[_FORMAT]
            for index in range(count):
                struct.pack_into(shape.order + "H", copy, place + 2 * index, plain)
    except (struct.error, OverflowError) as error:
        raise EncodingError(f"TIFF file: a tag lies beyond its end ({error})") from error
    return bytes(copy)


def _shape(data: bytes | mmap) -> _Shape:
    order = "<" if data[:2] == b"II" else ">"
    return _Shape(order, big=b"+" in data[2:4])


def _directory(
    data: bytes | mmap, offset: int, shape: _Shape
) -> tuple[dict[int, tuple[int, int, int]], int]:
    """Return tag -> (type, count, place of the first value), and where the next offset stands."""
    counted, entry, value = ("Q", 20, 12) if shape.big else ("H", 12, 8)
    (count,) = struct.unpack_from(shape.order + counted, data, offset)
    start = offset + struct.calcsize(counted)
    if start + count * entry > len(data):
        raise struct.error("directory beyond the end of the file")
    places = {}
    for at in range(start, start + count * entry, entry):
        tag, kind, values = struct.unpack_from(
            shape.order + ("HHQ" if shape.big else "HHI"), data, at
        )
        size = struct.calcsize(_TYPES.get(kind, "B")) * values
        place = at + value
        if size > entry - value:
            (place,) = struct.unpack_from(shape.offset_type, data, place)
        places[tag] = (kind, values, place)
    return places, start + count * entry


def _page(
    data: bytes | mmap, offset: int, places: dict[int, tuple[int, int, int]], shape: _Shape
) -> TiffPage:
    def number(tag: int, default: int) -> int:
        if tag not in places:
            return default
        kind, _, place = places[tag]
        return int(struct.unpack_from(shape.order + _TYPES.get(kind, "B"), data, place)[0])

    return TiffPage(
        offset=offset,
        height=number(_HEIGHT, 0),
        width=number(_WIDTH, 0),
        bits=number(_BITS, 1),
        sample_format=number(_FORMAT, 1),
        orientation=number(_ORIENTATION, 1),
        reduced=bool(number(_NEW_SUBFILE_TYPE, 0) & 1),
    )
