"""From decoded video pictures to the arrays of frames: bit depth, packed counts, orientation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import av
import cv2
import numpy as np
from av.sidedata.sidedata import SideDataContainer
from numpy.typing import NDArray

from fusion_core.source.packed_counts import Converter, packed_converter, plane_bytes
from fusion_core.transport.bit_depth import BitDepth
from fusion_core.transport.image_codec import is_gray
from fusion_core.transport.orientation import upright as turn_upright
from fusion_core.types import Modality

# By whether the picture is mirrored and whether it is turned upside down.
_STRAIGHT: Final = {(False, False): 1, (True, False): 2, (True, True): 3, (False, True): 4}
_TRANSPOSED: Final = {(False, False): 5, (True, False): 6, (True, True): 7, (False, True): 8}


def choose_converter(
    first: Sequence[av.VideoFrame], modality: Modality, *, packed_counts: bool
) -> Converter:
    """Return what turns pictures of a stream into ``(image, encoding)``, upright.

    Visible pictures become ``rgb8``; samples of 16 bits are scaled by the depth that is really
    used. Thermal ones become ``mono8``, ``mono16`` with every level kept, ``32FC1``, or ``rgb8``
    where they are colour-mapped.

    Args:
        first: The first pictures, at least one; the choice holds for the whole stream.
        modality: What the pictures show.
        packed_counts: The two bytes per pixel of a YUYV stream are one 16-bit count.

    Raises:
        SourceError: Packed counts were asked of a stream that has no two bytes per pixel.
    """
    convert = _thermal(first, packed_counts) if modality == "thermal" else _visible(first[0])

    def upright(picture: av.VideoFrame) -> tuple[NDArray[Any], str]:
        image, encoding = convert(picture)
        return turn_upright(image, shown_orientation(picture)), encoding

    return upright


def shown_orientation(picture: av.VideoFrame) -> int:
    """Return the orientation that a picture's display matrix asks for, as in EXIF: 1 to 8.

    A pixel ``(x, y)`` is shown at ``(a x + c y, b x + d y)``, up to a shift; of matrices between
    the eight the nearest counts.
    """
    # A picture's own `side_data` refers back to it: such pairs pile up, as large as pictures are,
    # until the garbage collector frees dozens at once and holds a live frame up for a while.
    container: Any = SideDataContainer
    data: Any = container(picture).get("DISPLAYMATRIX")
    if data is None:
        return 1
    (a, b), (c, d) = np.frombuffer(bytes(data), np.int32, 9).reshape(3, 3)[:2, :2].tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return _STRAIGHT[a < 0, d < 0]
    return _TRANSPOSED[c < 0, b < 0]


def _visible(picture: av.VideoFrame) -> Converter:
    bits = max(component.bits for component in picture.format.components)
    if bits < 16 or "16" not in picture.format.name:
        return _rgb
    return _deep_colour(one_channel=_is_gray_format(picture))


def _thermal(first: Sequence[av.VideoFrame], packed_counts: bool) -> Converter:
    picture = first[0]
    if packed_counts:
        return packed_converter(picture)
    bits = max(component.bits for component in picture.format.components)
    if _is_gray_format(picture):
        return _float if bits == 32 else _luma16 if bits > 8 else _gray
    if not all(is_gray(_rgb(one)[0]) for one in first):
        return _rgb
    if bits == 8:
        return _gray
    return _green16 if picture.format.is_rgb else _luma16


def _is_gray_format(picture: av.VideoFrame) -> bool:
    return picture.format.name.startswith(("gray", "ya"))


def _deep_colour(*, one_channel: bool) -> Converter:
    """Return what scales 16-bit pictures by the depth that the camera really uses."""
    depth = BitDepth()

    def convert(picture: av.VideoFrame) -> tuple[NDArray[Any], str]:
        image = depth.to_8_bit(_luma16(picture)[0] if one_channel else _rgb16(picture))
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) if one_channel else image, "rgb8"

    return convert


def _rgb(picture: av.VideoFrame) -> tuple[NDArray[Any], str]:
    return picture.to_ndarray(format="rgb24"), "rgb8"


def _gray(picture: av.VideoFrame) -> tuple[NDArray[Any], str]:
    return picture.to_ndarray(format="gray"), "mono8"


def _float(picture: av.VideoFrame) -> tuple[NDArray[Any], str]:
    return picture.to_ndarray(format="grayf32le").astype(np.float32, copy=False), "32FC1"


def _luma16(picture: av.VideoFrame) -> tuple[NDArray[Any], str]:
    """Return the luma as it is stored: a conversion would stretch or clip its levels."""
    kind = picture.format
    per_pixel = sum(component.plane == 0 for component in kind.components)
    if per_pixel > 1 and not kind.name.startswith("ya"):
        return picture.to_ndarray(format="gray16le").astype(np.uint16, copy=False), "mono16"
    order = ">u2" if kind.is_big_endian else "<u2"
    rows = plane_bytes(picture, 0).view(order)[:, : picture.width * per_pixel : per_pixel]
    return rows.astype(np.uint16), "mono16"


def _green16(picture: av.VideoFrame) -> tuple[NDArray[Any], str]:
    return np.ascontiguousarray(_rgb16(picture)[..., 1]), "mono16"


def _rgb16(picture: av.VideoFrame) -> NDArray[np.uint16]:
    return picture.to_ndarray(format="rgb48le").astype(np.uint16, copy=False)
