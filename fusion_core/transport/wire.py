r"""Images as self-describing messages of one part, for ZeroMQ.

One part, because a conflating socket keeps one part only, and subscribers filter on the first
bytes of a message. The layout is frozen; another layout gets another version. All numbers are
little-endian::

    topic     UTF-8, up to 4000 bytes, then one zero byte
    offset    size  type   field
    0         4     bytes  magic, "FUSE"
    4         1     u8     version, 2
    5         1     u8     kind: 0 visible, 1 thermal, 2 fused
    6         1     u8     encoding: 0 rgb8, 1 mono8, 2 mono16, 3 32FC1
    7         1     u8     bytes of the frame id
    8         8     i64    stamp, nanoseconds since the epoch, 0 to 2^31 s
    16        4     u32    sequence, number of the image in its stream
    20        4     u32    height, pixels
    24        4     u32    width, pixels
    28        4     u32    reserved, 0
    32        n     UTF-8  frame id
    32 + n    0-15  zeros  so that the pixels start at a multiple of 16 from the topic's start
    then            bytes  pixels, row by row without gaps; up to 64 MB

rgb8 has three bytes per pixel, mono8 one, mono16 two (u16), 32FC1 four (IEEE 754).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import EncodingError

Kind = Literal["visible", "thermal", "fused"]

VERSION: Final = 2
MAX_PIXEL_BYTES = 64 * 1024 * 1024
_MAX_TOPIC: Final = 4000
_MAX_FRAME_ID: Final = 255
_STAMP_LIMIT_NS: Final = 2**31 * 10**9  # ROS stamps count seconds in 32 bits with sign
_SEQUENCE_LIMIT: Final = 2**32
_MAGIC: Final = b"FUSE"
_HEADER: Final = struct.Struct("<4sBBBBqIIII")
_ALIGN: Final = 16
_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_ENCODINGS: Final = ("rgb8", "mono8", "mono16", "32FC1")
_LAYOUTS: Final = {
    "rgb8": ("uint8", 3),
    "mono8": ("uint8", 1),
    "mono16": ("uint16", 1),
    "32FC1": ("float32", 1),
}
MAX_MESSAGE_BYTES: Final = MAX_PIXEL_BYTES + _MAX_TOPIC + 1 + _HEADER.size + _MAX_FRAME_ID + _ALIGN
"""Size of the largest valid message."""


@dataclass(frozen=True, slots=True)
class WireImage:
    """One image in transport.

    Attributes:
        stamp_ns: Capture time in nanoseconds, from 0 to below 2^31 seconds.
        kind: ``visible``, ``thermal`` or ``fused``.
        encoding: ``rgb8``, ``mono8``, ``mono16`` or ``32FC1``.
        image: ``HxWx3`` uint8 RGB, or ``HxW`` uint8, uint16 or float32, according to ``encoding``.
        sequence: Number of the image in its stream, from 0 to below 2^32.
        frame_id: Optical frame of the camera, may be empty; up to 255 bytes.
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
        EncodingError: The image does not fit its encoding, or a value is out of range.
    """
    image, frame_id = message.image, message.frame_id.encode()
    _check_layout(message.encoding, image.dtype.name, image.shape)
    _check_numbers(message.stamp_ns, message.sequence)
    if len(frame_id) > _MAX_FRAME_ID:
        raise EncodingError(
            f"frame id {message.frame_id[:40]!r}... has {len(frame_id)} bytes; give one of up to "
            f"{_MAX_FRAME_ID}"
        )
    prefix = topic_prefix(topic)
    header = _HEADER.pack(
        _MAGIC,
        VERSION,
        _KINDS.index(message.kind),
        _ENCODINGS.index(message.encoding),
        len(frame_id),
        message.stamp_ns,
        message.sequence,
        image.shape[0],
        image.shape[1],
        0,
    )
    padding = b"\0" * (-(len(prefix) + len(header) + len(frame_id)) % _ALIGN)
    little = np.ascontiguousarray(image, image.dtype.newbyteorder("<"))
    return b"".join((prefix, header, frame_id, padding, little.data))


def decode_message(data: bytes | memoryview) -> WireImage:
    """Return the image in a message; its pixels are a read-only view of ``data``.

    Raises:
        EncodingError: The message is foreign, of another version, truncated or out of range.
    """
    view = memoryview(data)
    start = bytes(view[: _MAX_TOPIC + 1]).find(b"\0") + 1
    if start == 0 or len(view) < start + _HEADER.size:
        raise EncodingError(f"message of {len(view)} bytes is no image: its header is truncated")
    magic, version, kind, encoding, id_bytes, stamp_ns, sequence, height, width, reserved = (
        _HEADER.unpack_from(view, start)
    )
    if magic != _MAGIC:
        raise EncodingError(f"message is no image: it begins with {magic!r}, expected {_MAGIC!r}")
    if version != VERSION:
        raise EncodingError(
            f"image message of version {version}, this is version {VERSION}: update the older end"
        )
    if kind >= len(_KINDS) or encoding >= len(_ENCODINGS) or reserved != 0:
        raise EncodingError(
            f"image message with kind {kind}, encoding {encoding} and reserved field {reserved}; "
            f"known are kinds below {len(_KINDS)}, encodings below {len(_ENCODINGS)}, and 0"
        )
    _check_numbers(stamp_ns, sequence)
    name, channels = _LAYOUTS[_ENCODINGS[encoding]]
    shape = (height, width, channels) if channels > 1 else (height, width)
    _check_layout(_ENCODINGS[encoding], name, shape)
    body = start + _HEADER.size + id_bytes
    try:
        frame_id = str(view[start + _HEADER.size : body], "utf-8")
    except UnicodeDecodeError:
        raise EncodingError("image message with a frame id that is no UTF-8") from None
    body += -body % _ALIGN
    needed = math.prod(shape) * np.dtype(name).itemsize
    if len(view) - body != needed:
        raise EncodingError(
            f"image message is truncated: {max(len(view) - body, 0)} of {needed} pixel bytes"
        )
    pixels = np.frombuffer(view[body:], np.dtype(name).newbyteorder("<")).reshape(shape)
    image = pixels.astype(name, copy=False)
    image.flags.writeable = False
    return WireImage(stamp_ns, _KINDS[kind], _ENCODINGS[encoding], image, sequence, frame_id)


def topic_prefix(topic: str) -> bytes:
    """Return how messages of a topic begin: the end mark keeps ``cam`` from matching ``camera``.

    Raises:
        EncodingError: The topic is longer than 4000 bytes or contains the end mark.
    """
    name = topic.encode()
    if b"\0" in name or len(name) > _MAX_TOPIC:
        raise EncodingError(
            f"topic {topic[:40]!r}: expected up to {_MAX_TOPIC} bytes without a zero byte"
        )
    return name + b"\0"


def _check_numbers(stamp_ns: int, sequence: int) -> None:
    """Raise unless stamp and sequence are in range."""
    if not 0 <= stamp_ns < _STAMP_LIMIT_NS:
        raise EncodingError(
            f"image stamped {stamp_ns} ns; expected 0 to 2^31 s: check the camera's clock"
        )
    if not 0 <= sequence < _SEQUENCE_LIMIT:
        raise EncodingError(f"image number {sequence}; expected 0 to {_SEQUENCE_LIMIT - 1}")


def _check_layout(encoding: str, dtype: str, shape: tuple[int, ...]) -> None:
    """Raise unless an image of this type and shape has this encoding and is not too large."""
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        raise EncodingError(f"image message in encoding {encoding!r}; known: {', '.join(_LAYOUTS)}")
    name, channels = layout
    channels_fit = shape[2:] == ((channels,) if channels > 1 else ())
    if dtype != name or len(shape) < 2 or not channels_fit or min(shape) < 1:
        raise EncodingError(f"image message in {encoding} with {dtype} of shape {shape}: no match")
    size = math.prod(shape) * np.dtype(name).itemsize
    if size > MAX_PIXEL_BYTES:
        raise EncodingError(f"image of {size} bytes; at most {MAX_PIXEL_BYTES} go in one message")
