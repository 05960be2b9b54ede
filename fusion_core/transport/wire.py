r"""Images as self-describing single-part messages.

Layout, all in one part because a conflating socket keeps one part only, and a subscriber filters
on how a part begins::

    topic (UTF-8) | \0 | "FUSE" | version u8 | 0 | header length u16 | header | pixels

The header is JSON padded with spaces so that the pixels start on a multiple of 16 bytes. Numbers
outside the header are little-endian, and so are the pixels.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import EncodingError

Kind = Literal["visible", "thermal", "fused"]

VERSION = 1
MAX_PIXEL_BYTES = 64 * 1024 * 1024
_MAGIC = b"FUSE"
_FIXED = struct.Struct("<4sBBH")
_ALIGN = 16
_KINDS = ("visible", "thermal", "fused")
_LAYOUTS = {
    "rgb8": ("uint8", 3),
    "mono8": ("uint8", 2),
    "mono16": ("uint16", 2),
    "32FC1": ("float32", 2),
}
# What a whole message may take: pixels, and room for topic and header.
MAX_MESSAGE_BYTES = MAX_PIXEL_BYTES + 0x10000 + 0x1000


@dataclass(frozen=True, slots=True)
class WireImage:
    """One image on its way.

    Attributes:
        stamp_ns: Capture time in nanoseconds.
        kind: ``visible``, ``thermal`` or ``fused``.
        encoding: ``rgb8``, ``mono8``, ``mono16`` or ``32FC1``.
        image: ``HxWx3`` uint8 RGB, or ``HxW`` uint8, uint16 or float32, as ``encoding`` says.
        sequence: Number of the image in its stream, from 0.
        frame_id: Optical frame of the camera, may be empty.
    """

    stamp_ns: int
    kind: Kind
    encoding: str
    image: NDArray[Any]
    sequence: int = 0
    frame_id: str = ""


def encode_message(message: WireImage, topic: str = "") -> bytes:
    """Return the message as bytes.

    Raises:
        EncodingError: The image does not fit its encoding, or is larger than 64 MB.
    """
    image = message.image
    _check(message.encoding, image.dtype.name, image.shape)
    header = json.dumps(
        {
            "stamp_ns": int(message.stamp_ns),
            "modality": message.kind,
            "encoding": message.encoding,
            "shape": image.shape,
            "dtype": image.dtype.name,
            "sequence": int(message.sequence),
            "frame_id": message.frame_id,
        }
    ).encode()
    prefix = topic_prefix(topic)
    header += b" " * (-(len(prefix) + _FIXED.size + len(header)) % _ALIGN)
    fixed = _FIXED.pack(_MAGIC, VERSION, 0, len(header))
    little = np.ascontiguousarray(image, image.dtype.newbyteorder("<"))
    return b"".join((prefix, fixed, header, little.data))


def decode_message(data: bytes | memoryview) -> WireImage:
    """Return the image in a message; its pixels are a read-only view of ``data``.

    Raises:
        EncodingError: The message is foreign, of another version, torn or too large.
    """
    view = memoryview(data)
    start = bytes(view[:0x1000]).find(b"\0") + 1
    if start == 0 or len(view) < start + _FIXED.size:
        raise EncodingError(f"message of {len(view)} bytes is no image: its topic or head is cut")
    magic, version, _, length = _FIXED.unpack_from(view, start)
    if magic != _MAGIC:
        raise EncodingError(f"message is no image: it begins with {magic!r}, expected {_MAGIC!r}")
    if version != VERSION:
        raise EncodingError(
            f"image message of version {version}, this is version {VERSION}: update the older end"
        )
    body = start + _FIXED.size + length
    try:
        header = json.loads(bytes(view[start + _FIXED.size : body]))
        shape = tuple(_integer(value) for value in header["shape"])
        kind, encoding, dtype = header["modality"], header["encoding"], header["dtype"]
        stamp_ns, sequence = _integer(header["stamp_ns"]), _integer(header["sequence"])
        frame_id = str(header["frame_id"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise EncodingError(f"image message with a malformed header ({error!r})") from None
    if kind not in _KINDS:
        raise EncodingError(f"image message of modality {kind!r}; known: {', '.join(_KINDS)}")
    _check(encoding, dtype, shape)
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    if len(view) - body != needed:
        raise EncodingError(f"image message is torn: {len(view) - body} of {needed} pixel bytes")
    pixels = np.frombuffer(view[body:], np.dtype(dtype).newbyteorder("<")).reshape(shape)
    image = pixels.astype(dtype, copy=False)
    image.flags.writeable = False
    return WireImage(stamp_ns, kind, encoding, image, sequence, frame_id)


def topic_prefix(topic: str) -> bytes:
    """Return how messages of a topic begin: the end mark keeps ``cam`` from matching ``camera``.

    Raises:
        EncodingError: The topic is longer than 4000 bytes or contains the end mark.
    """
    name = topic.encode()
    if b"\0" in name or len(name) > 4000:
        raise EncodingError(f"topic {topic[:40]!r}: expected up to 4000 bytes without a zero byte")
    return name + b"\0"


def _integer(value: object) -> int:
    """Return a whole number of 64 bits as it is, and raise for anything else."""
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise ValueError(f"{str(value)[:20]!r} is not a 64-bit integer")
    return value


def _check(encoding: object, dtype: object, shape: tuple[int, ...]) -> None:
    """Raise unless an image of this type and shape has this encoding and is not too large."""
    layout = _LAYOUTS.get(encoding) if isinstance(encoding, str) else None
    if layout is None:
        raise EncodingError(f"image message in encoding {encoding!r}; known: {', '.join(_LAYOUTS)}")
    name, dimensions = layout
    channels_fit = len(shape) == dimensions and (dimensions == 2 or shape[2] == 3)
    if dtype != name or not channels_fit or min(shape) < 1:
        raise EncodingError(f"image message in {encoding} with {dtype} of shape {shape}: no match")
    size = math.prod(shape) * np.dtype(name).itemsize
    if size > MAX_PIXEL_BYTES:
        raise EncodingError(f"image of {size} bytes; at most {MAX_PIXEL_BYTES} go in one message")
