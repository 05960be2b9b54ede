r"""Requests to a server and its answers: one self-describing part each, for ZeroMQ.

They share the magic of the image messages (see ``wire``). The layout is frozen; another layout
gets another version. All numbers are little-endian::

    offset    size  type   field
    0         4     bytes  magic, "FUSE"
    4         1     u8     version, 65
    5         1     u8     kind: 0 open, 1 opened, 2 call, 3 result, 4 refused
    6         2     u16    reserved, 0
    8         8     u64    number of the request, repeated in its answer
    16        4     u32    bytes of the text
    20        12    zeros
    32        n     JSON   text, an object in UTF-8 of up to 1 MB
    then, for each array and in the order of the text's "arrays": zeros up to a multiple of 16 from
    the start, then its values, row by row without gaps

``"arrays"`` lists ``[name, type, shape]`` of up to 16 arrays; types are uint8, bool, float32,
float64 and int64. The whole message has up to 256 MB. Nothing in it is executed when it is read.

Versions of this layout count from 65, above all those of image messages.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import EncodingError

VERSION: Final = 65
MAX_CALL_BYTES: Final = 256 * 1024 * 1024
"""Size of the largest valid message."""
BUFFER_BYTES: Final = 4 * 1024 * 1024
"""Buffers to ask the system for: a pair that fits wakes up its receiver once, not ten times."""
_MAGIC: Final = b"FUSE"
_HEADER: Final = struct.Struct("<4sBBHQI12x")
_ALIGN: Final = 16
_MAX_TEXT: Final = 1 << 20
_MAX_ARRAYS: Final = 16
_MAX_DIMENSIONS: Final = 4
_TYPES: Final = {name: np.dtype(name) for name in ("uint8", "bool", "float32", "float64", "int64")}


class Kind(IntEnum):
    """What a message is."""

    OPEN = 0
    OPENED = 1
    CALL = 2
    RESULT = 3
    REFUSED = 4


class VersionError(EncodingError):
    """A message of another version of the protocol."""


@dataclass(frozen=True, slots=True)
class Message:
    """One request or answer.

    Attributes:
        kind: What it is.
        number: Number of the request.
        text: Plain values.
        arrays: Name -> array of one of the types above.
    """

    kind: Kind
    number: int
    text: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def encode_call(message: Message) -> memoryview:
    """Return a message as bytes.

    Raises:
        EncodingError: It is too large, or an array has another type.
    """
    arrays = {name: np.ascontiguousarray(array) for name, array in message.arrays.items()}
    listed = []
    for name, array in arrays.items():
        if array.dtype.name not in _TYPES:
            raise EncodingError(f"array {name!r} of type {array.dtype.name}: expected {[*_TYPES]}")
        listed.append([name, array.dtype.name, array.shape])
    text = json.dumps({**message.text, "arrays": listed}, separators=(",", ":")).encode()
    places, size = [], _HEADER.size + len(text)
    for array in arrays.values():
        places.append(size + -size % _ALIGN)
        size = places[-1] + array.nbytes
    if size > MAX_CALL_BYTES or len(text) > _MAX_TEXT:
        raise EncodingError(
            f"message of {size} bytes with a text of {len(text)}; at most {MAX_CALL_BYTES} and "
            f"{_MAX_TEXT} can be sent: use smaller pictures"
        )
    bytes_ = np.empty(size, np.uint8)  # not cleared first: all of it is written
    data = bytes_.data
    _HEADER.pack_into(data, 0, _MAGIC, VERSION, message.kind, 0, message.number, len(text))
    data[_HEADER.size : _HEADER.size + len(text)] = text
    end = _HEADER.size + len(text)
    for place, array in zip(places, arrays.values(), strict=True):
        bytes_[end:place] = 0
        end = place + array.nbytes
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        bytes_[place:end] = little.reshape(-1).view(np.uint8)
    return data


def decode_call(data: bytes | bytearray | memoryview) -> Message:
    """Return the message in bytes; its arrays are views of them.

    Raises:
        VersionError: It is of another version.
        EncodingError: It is foreign, truncated or malformed.
    """
    view = memoryview(data)
    if len(view) < _HEADER.size:
        raise EncodingError(f"message of {len(view)} bytes is no request: its header is truncated")
    magic, version, kind, reserved, number, text_bytes = _HEADER.unpack_from(view)
    if magic != _MAGIC:
        raise EncodingError(f"message is no request: it begins with {magic!r}, expected {_MAGIC!r}")
    if version != VERSION:
        raise VersionError(
            f"message of version {version}, this is version {VERSION}: update the older end"
        )
    start = _HEADER.size + text_bytes
    if reserved or text_bytes > _MAX_TEXT or len(view) < start:
        raise EncodingError(f"message of {len(view)} bytes with a text of {text_bytes}: malformed")
    try:
        text = json.loads(bytes(view[_HEADER.size : start]))
        entries = text.pop("arrays")
        arrays = _arrays(view, start, entries)
        return Message(Kind(kind), number, text, arrays)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"[:100]
        raise EncodingError(f"message is malformed ({reason})") from None


def call_number(data: bytes | memoryview) -> int:
    """Return the number in a message that cannot be decoded, 0 where it has none."""
    view = memoryview(data)
    return int(_HEADER.unpack_from(view)[4]) if len(view) >= _HEADER.size else 0


def _arrays(view: memoryview, start: int, entries: Any) -> dict[str, NDArray[Any]]:  # noqa: ANN401 - as received
    """Return the arrays of a message.

    Raises:
        ValueError: The list does not describe the bytes.
    """
    if not isinstance(entries, list) or len(entries) > _MAX_ARRAYS:
        raise ValueError(f"list of arrays: expected up to {_MAX_ARRAYS}")
    arrays: dict[str, NDArray[Any]] = {}
    place = start
    for name, kind, shape in entries:
        sizes = [size for size in shape if type(size) is int and 0 <= size <= MAX_CALL_BYTES]
        if len(sizes) != len(shape) or len(sizes) > _MAX_DIMENSIONS or type(name) is not str:
            raise ValueError(f"array of shape {shape}")
        dtype = _TYPES[kind]
        place += -place % _ALIGN
        end = place + math.prod(sizes) * dtype.itemsize
        if end > len(view):
            raise ValueError(f"array {name[:40]!r} is truncated")
        array = np.ndarray(sizes, dtype.newbyteorder("<"), view[place:end]).astype(
            dtype, copy=False
        )
        arrays[name] = array
        place = end
    if place != len(view):
        raise ValueError(f"{len(view) - place} bytes too many")
    return arrays
