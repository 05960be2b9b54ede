"""Pixel layouts at the border: ROS image messages and compressed pictures to arrays.

Pure functions without ROS, shared by bags, folders, cameras and the ROS node. Everything inside
is RGB; BGR exists only in what comes in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import EncodingError
from fusion_core.types import Modality

# A gray picture that went through a colour codec keeps a little chroma noise and perhaps a tint;
# a colour-mapped one spreads the differences between its channels over tens of levels.
_GRAY_SPREAD = 6.0


@dataclass(frozen=True, slots=True)
class _Layout:
    """How one ROS encoding lies in memory, and how to bring it to its normal form."""

    dtype: type[np.generic]
    channels: int
    normal: str
    conversion: int | None = None


_LAYOUTS = MappingProxyType(
    {
        "rgb8": _Layout(np.uint8, 3, "rgb8"),
        "bgr8": _Layout(np.uint8, 3, "rgb8", cv2.COLOR_BGR2RGB),
        "rgba8": _Layout(np.uint8, 4, "rgb8", cv2.COLOR_RGBA2RGB),
        "bgra8": _Layout(np.uint8, 4, "rgb8", cv2.COLOR_BGRA2RGB),
        "8UC3": _Layout(np.uint8, 3, "rgb8", cv2.COLOR_BGR2RGB),
        "mono8": _Layout(np.uint8, 1, "mono8"),
        "8UC1": _Layout(np.uint8, 1, "mono8"),
        "mono16": _Layout(np.uint16, 1, "mono16"),
        "16UC1": _Layout(np.uint16, 1, "mono16"),
        "32FC1": _Layout(np.float32, 1, "32FC1"),
        "yuv422": _Layout(np.uint8, 2, "rgb8", cv2.COLOR_YUV2RGB_UYVY),
        "uyvy": _Layout(np.uint8, 2, "rgb8", cv2.COLOR_YUV2RGB_UYVY),
        "yuv422_yuy2": _Layout(np.uint8, 2, "rgb8", cv2.COLOR_YUV2RGB_YUY2),
        "yuyv": _Layout(np.uint8, 2, "rgb8", cv2.COLOR_YUV2RGB_YUY2),
    }
)
KNOWN_ENCODINGS = tuple(_LAYOUTS)


def decode_image(  # noqa: PLR0917 - the message's fields in their order
    height: int,
    width: int,
    encoding: str,
    step: int,
    is_bigendian: bool | int,
    data: Any,  # noqa: ANN401 - bytes, array.array, memoryview or numpy: any buffer
) -> tuple[NDArray[Any], str]:
    """Turn the fields of a ``sensor_msgs/Image`` into an array.

    Args:
        height: Rows.
        width: Columns.
        encoding: Name of the layout, one of ``KNOWN_ENCODINGS``.
        step: Bytes from one row to the next, padding included.
        is_bigendian: Byte order of samples wider than one byte.
        data: The pixels, as any buffer.

    Returns:
        The image, ``HxWx3`` uint8 RGB or ``HxW`` uint8, uint16 or float32, and its normal
        encoding ``rgb8``, ``mono8``, ``mono16`` or ``32FC1``. Where nothing had to be converted
        the image is a view of ``data``, as writable as ``data`` is.

    Raises:
        EncodingError: The encoding is unknown, or sizes do not add up.
    """
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        raise EncodingError(
            f"image encoding {encoding!r} is unknown; known: {', '.join(KNOWN_ENCODINGS)}"
        )
    item = np.dtype(layout.dtype).itemsize
    row = width * layout.channels * item
    buffer = np.frombuffer(data, np.uint8)
    needed = step * (height - 1) + row
    if min(height, width) < 1 or step < row or buffer.size < needed:
        raise EncodingError(
            f"image {width}x{height} {encoding}: step {step} and {buffer.size} bytes do not add "
            f"up; a row needs {row} bytes, the image {max(needed, 0)}; check the driver"
        )
    if layout.channels == 2 and width % 2:
        raise EncodingError(f"image {width}x{height} {encoding}: YUV 4:2:2 needs an even width")
    image: NDArray[Any] = np.ndarray(
        (height, width, layout.channels),
        np.dtype(layout.dtype).newbyteorder(">" if is_bigendian else "<"),
        buffer,
        strides=(step, layout.channels * item, item),
    )
    if layout.channels == 1:
        image = image[..., 0]
    if layout.conversion is not None:
        image = cv2.cvtColor(image, layout.conversion)
    return image.astype(layout.dtype, copy=False), layout.normal


def decode_compressed(
    format: str,  # noqa: A002 - the field's name in sensor_msgs/CompressedImage
    data: Any,  # noqa: ANN401 - any buffer
    modality: Modality,
) -> tuple[NDArray[Any], str]:
    """Turn a compressed picture (JPEG, PNG, TIFF, ...) into an image of one modality.

    Args:
        format: What the sender calls it, such as ``jpeg`` or ``16UC1; png compressed``.
        data: The file's bytes, as any buffer.
        modality: What the picture shows; see ``to_modality``.

    Returns:
        The image and its encoding, as a ``Frame`` holds them.

    Raises:
        EncodingError: The picture is truncated, of an unknown kind or of an unusable layout.
    """
    if "compresseddepth" in format.lower():
        raise EncodingError(
            f"compressed image format {format!r} is a depth image; use the raw or the png topic"
        )
    raw = np.frombuffer(data, np.uint8)
    try:
        picture = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED) if _is_whole(raw) else None
    except cv2.error:
        picture = None
    if picture is None:
        raise EncodingError(
            f"compressed image ({format or 'no format'}, {raw.size} bytes) is truncated, or no "
            "picture at all"
        )
    return to_modality(*_normalise(picture), modality)


def to_modality(image: NDArray[Any], encoding: str, modality: Modality) -> tuple[NDArray[Any], str]:
    """Bring a decoded image to the form its stream has inside.

    Visible becomes ``rgb8``: one channel is repeated, 16 bits keep their upper eight. Thermal
    stays as the camera gave it, except that a gray picture in three channels becomes ``mono8``;
    a colour-mapped one stays ``rgb8``.

    Args:
        image: ``HxWx3`` uint8 RGB, or ``HxW`` uint8, uint16 or float32.
        encoding: ``rgb8``, ``mono8``, ``mono16`` or ``32FC1``.
        modality: Which stream the image belongs to.

    Raises:
        EncodingError: A visible image in floating point.
    """
    if modality == "thermal":
        if encoding == "rgb8" and is_gray(image):
            return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), "mono8"
        return image, encoding
    if encoding == "32FC1":
        raise EncodingError(
            "visible image in encoding '32FC1': expected colour or gray in 8 or 16 bits; "
            "are the visible and thermal streams swapped?"
        )
    if encoding == "mono16":
        image = (image >> 8).astype(np.uint8)
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    return image, "rgb8"


def is_gray(image: NDArray[Any]) -> bool:
    """Return whether a ``HxWx3`` uint8 image is a gray one, up to a tint and video chroma noise."""
    sample = image[::2, ::2].astype(np.int16)
    green = sample[..., 1]
    spread = max(float(np.std(sample[..., channel] - green)) for channel in (0, 2))
    return spread < _GRAY_SPREAD


def _normalise(picture: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Return what OpenCV decoded as RGB or one channel, with the encoding's name."""
    if picture.ndim == 3 and picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    if picture.ndim == 3 and picture.dtype == np.uint8:
        code = cv2.COLOR_BGRA2RGB if picture.shape[2] == 4 else cv2.COLOR_BGR2RGB
        return cv2.cvtColor(picture, code), "rgb8"
    names = {"uint8": "mono8", "uint16": "mono16", "float32": "32FC1"}
    encoding = names.get(picture.dtype.name) if picture.ndim == 2 else None
    if encoding is None:
        raise EncodingError(
            f"picture of {picture.dtype} with shape {picture.shape}: expected 8-bit colour, or "
            "one channel of 8 or 16 bits or 32-bit float"
        )
    return picture, encoding


def _is_whole(raw: NDArray[np.uint8]) -> bool:
    """Return whether a JPEG has its end; decoders fill the rest of a truncated one with gray."""
    data = raw.tobytes()
    if not data.startswith(b"\xff\xd8"):
        return len(data) > 0
    # Inside the entropy-coded part 0xFF is always stuffed, so the marker there is the real one.
    return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")
