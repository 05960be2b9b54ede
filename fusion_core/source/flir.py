"""FLIR radiometric JPEG files: raw counts, calibration, and the visible picture inside.

The file format "FFF" is stored in APP1 segments; its records and the meaning of their fields are
those that the ExifTool documentation lists.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import EncodingError
from fusion_core.radiometry import air_transmission, radiance
from fusion_core.transport.jpeg_file import jpeg_segments
from fusion_core.transport.orientation import PNG, read_orientation, upright
from fusion_core.transport.picture import decode_picture
from fusion_core.types import Radiometry, UInt8Image

_APP1: Final = 0xE1
_SEGMENT: Final = b"FLIR\0"
_RAW, _VISIBLE, _CAMERA, _GEOMETRY = 0x01, 0x0E, 0x20, 0x2A
_IMAGE: Final = 32  # header of a record that holds an image
_LEAST_RATIO: Final = 0.1
_MOST_TRANSMISSION: Final = 2.0  # fits of the air's transmission go a little above 1


@dataclass(frozen=True, slots=True)
class FlirRecords:
    """Records of one file, undecoded; None where the file lacks it."""

    raw: bytes | None
    visible: bytes | None
    camera: bytes | None
    geometry: bytes | None


def flir_records(data: bytes) -> FlirRecords | None:
    """Return the records of a JPEG file, None when it is not a radiometric one.

    Raises:
        EncodingError: The records are torn.
    """
    parts: dict[int, bytes] = {}
    for marker, payload in jpeg_segments(data):
        if marker == _APP1 and payload.startswith(_SEGMENT) and len(payload) > 8:
            # Version, number of this part, number of the last one.
            parts.setdefault(payload[6], payload[8:])
    block = b"".join(parts[number] for number in sorted(parts))
    if not block.startswith(b"FFF\0"):
        return None
    found: dict[int, bytes] = {}
    try:
        order = ">" if 100 <= struct.unpack_from(">I", block, 20)[0] < 200 else "<"
        start, count = struct.unpack_from(order + "II", block, 24)
        for index in range(count):
            kind, _, _, _, offset, length = struct.unpack_from(
                order + "HHIIII", block, start + 32 * index
            )
            if kind in {_RAW, _VISIBLE, _CAMERA, _GEOMETRY} and length:
                if offset + length > len(block):
                    raise EncodingError("radiometric JPEG: its records are torn; copy it again")
                found.setdefault(kind, block[offset : offset + length])
    except struct.error as error:
        raise EncodingError("radiometric JPEG: its records are torn; copy it again") from error
    return FlirRecords(*(found.get(kind) for kind in (_RAW, _VISIBLE, _CAMERA, _GEOMETRY)))


def raw_counts(record: bytes) -> NDArray[np.uint16]:
    """Return the raw counts of a record, ``HxW``.

    Raises:
        EncodingError: They are torn or in an unknown form.
    """
    order = _order(record)
    try:
        width, height = struct.unpack_from(order + "HH", record, 2)
    except struct.error as error:
        raise EncodingError("radiometric JPEG: raw counts are torn; copy it again") from error
    content = record[_IMAGE:]
    if content.startswith(PNG):
        counts = _in_camera_order(decode_picture(content))
    elif content[:4] in {b"II*\0", b"MM\0*"}:
        counts = decode_picture(content)
    elif 0 < 2 * width * height <= len(content):
        counts = np.frombuffer(content, order + "u2", width * height).reshape(height, width)
    else:
        raise EncodingError("radiometric JPEG: raw counts are torn; copy it again")
    if counts.ndim != 2 or counts.dtype.itemsize != 2:
        raise EncodingError("radiometric JPEG: raw counts are not one channel of 16 bits")
    return np.ascontiguousarray(counts, np.uint16)


def camera_of(record: bytes) -> Radiometry:
    """Return the parameters in a record.

    Raises:
        EncodingError: They are torn or not finite.
    """
    order = _order(record)

    def number(offset: int) -> float:
        return float(struct.unpack_from(order + "f", record, offset)[0])

    try:
        (zero,) = struct.unpack_from(order + "i", record, 0x308)
        camera = Radiometry(
            emissivity=number(0x20),
            distance=number(0x24),
            reflected=number(0x28),
            air=number(0x2C),
            window=number(0x30),
            window_transmission=number(0x34),
            humidity=number(0x3C),
            planck=(number(0x58), number(0x5C), number(0x60), float(zero), number(0x30C)),
            alpha=(number(0x70), number(0x74)),
            beta=(number(0x78), number(0x7C)),
            x=number(0x80),
        )
    except struct.error as error:
        raise EncodingError("radiometric JPEG: camera parameters are torn") from error
    try:
        values = radiance(camera.reflected, camera), radiance(camera.air, camera)
        usable = (
            0 < camera.emissivity <= 1
            and min(values) > 0
            and all(math.isfinite(value) for value in (*values, *camera.planck))
            and 0 < air_transmission(camera) < _MOST_TRANSMISSION
        )
    except (ArithmeticError, ValueError):
        usable = False
    if not usable:
        raise EncodingError(f"radiometric JPEG: camera parameters make no sense: {camera}")
    return camera


def visible_content(record: bytes) -> bytes:
    """Return the file, JPEG or PNG, that a record of a visible picture holds."""
    return record[_IMAGE:]


def visible_picture(record: bytes, orientation: int) -> UInt8Image:
    """Return the visible picture of a record, ``HxWx3`` RGB.

    Args:
        record: The record.
        orientation: EXIF orientation of the whole file; that of the picture itself goes first.

    Raises:
        EncodingError: It cannot be decoded.
    """
    content = visible_content(record)
    picture = decode_picture(content, flags=cv2.IMREAD_COLOR)
    # Inside a PNG file the channels are Y, Cb, Cr instead of red, green, blue.
    code = cv2.COLOR_BGR2RGB
    if content.startswith(PNG):
        picture = picture[..., (2, 0, 1)]
        code = cv2.COLOR_YCrCb2RGB
    shown = np.asarray(cv2.cvtColor(np.ascontiguousarray(picture), code), np.uint8)
    return shown if read_orientation(content) != 1 else upright(shown, orientation)


def visible_to_thermal(
    record: bytes, visible: tuple[int, int], thermal: tuple[int, int]
) -> NDArray[np.float64] | None:
    """Return how the camera lays its thermal picture into the visible one.

    Args:
        record: The record of the picture-in-picture geometry: how many times wider the visible
            picture sees, and the centre of the thermal one in visible pixels from the middle.
        visible: Height and width of the visible picture.
        thermal: Height and width of the thermal one.

    Returns:
        3x3, ``thermal_pixel ~ map @ visible_pixel``; None where the record makes no sense.
    """
    if len(record) < 8:
        return None
    for order in "<>":
        ratio, right, down = struct.unpack_from(order + "fhh", record)
        if _LEAST_RATIO <= ratio <= 1 / _LEAST_RATIO:
            break
    else:
        return None
    scale_x, scale_y = ratio * thermal[1] / visible[1], ratio * thermal[0] / visible[0]
    shift_x = (thermal[1] - 1) / 2 - scale_x * ((visible[1] - 1) / 2 + right)
    shift_y = (thermal[0] - 1) / 2 - scale_y * ((visible[0] - 1) / 2 + down)
    return np.array([[scale_x, 0, shift_x], [0, scale_y, shift_y], [0, 0, 1]], np.float64)


def _in_camera_order(counts: NDArray[Any]) -> NDArray[Any]:
    """Return samples of a PNG file in the byte order in which the picture is smooth.

    A PNG file is big-endian; nearly all cameras write the other order into it.
    """
    orders = counts.byteswap(), counts
    steps = [np.abs(np.diff(order.astype(np.int64), axis=1)).mean() for order in orders]
    return orders[int(steps[1] < steps[0])]


def _order(record: bytes) -> str:
    """Return the byte order of a record, whose first field is 2."""
    return "<" if record[:2] == b"\x02\0" else ">"
