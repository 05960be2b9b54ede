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

from fusion_core.errors import EncodingError, UnknownEncodingError
from fusion_core.transport.compressed_depth import decode_compressed_depth
from fusion_core.types import Modality

# A gray picture that went through a colour codec keeps a little chroma noise and perhaps a tint;
# a colour-mapped one spreads the differences between its channels over tens of levels.
_GRAY_SPREAD = 6.0


@dataclass(frozen=True, slots=True)
class _Layout:
    """How one ROS encoding lies in memory, and how to bring it to its normal form.

    Attributes:
        dtype: Type of a sample.
        channels: Samples of a pixel.
        normal: Encoding of the normal form.
        conversion: OpenCV's conversion to it, None where the samples stay as they are.
        subsampled: Rows and columns must be multiples of these.
        chroma: Rows of subsampled chroma follow those of luma, half as many.
    """

    dtype: type[np.generic]
    channels: int
    normal: str
    conversion: int | None = None
    subsampled: tuple[int, int] = (1, 1)
    chroma: bool = False


def _yuv422(conversion: int) -> _Layout:
    return _Layout(np.uint8, 2, "rgb8", conversion, subsampled=(1, 2))


def _yuv420(conversion: int) -> _Layout:
    return _Layout(np.uint8, 1, "rgb8", conversion, subsampled=(2, 2), chroma=True)


# OpenCV names a pattern by the second row's second and third pixel, ROS by the first two rows.
_BAYER = MappingProxyType(
    {
        "rggb": cv2.COLOR_BayerBG2RGB,
        "bggr": cv2.COLOR_BayerRG2RGB,
        "gbrg": cv2.COLOR_BayerGR2RGB,
        "grbg": cv2.COLOR_BayerGB2RGB,
    }
)


_LAYOUTS = MappingProxyType(
    {
        "rgb8": _Layout(np.uint8, 3, "rgb8"),
        "bgr8": _Layout(np.uint8, 3, "rgb8", cv2.COLOR_BGR2RGB),
        "rgba8": _Layout(np.uint8, 4, "rgb8", cv2.COLOR_RGBA2RGB),
        "bgra8": _Layout(np.uint8, 4, "rgb8", cv2.COLOR_BGRA2RGB),
        "8UC3": _Layout(np.uint8, 3, "rgb8", cv2.COLOR_BGR2RGB),
        "8UC4": _Layout(np.uint8, 4, "rgb8", cv2.COLOR_BGRA2RGB),
        "rgb16": _Layout(np.uint16, 3, "rgb16"),
        "bgr16": _Layout(np.uint16, 3, "rgb16", cv2.COLOR_BGR2RGB),
        "rgba16": _Layout(np.uint16, 4, "rgb16", cv2.COLOR_RGBA2RGB),
        "bgra16": _Layout(np.uint16, 4, "rgb16", cv2.COLOR_BGRA2RGB),
        "16UC3": _Layout(np.uint16, 3, "rgb16", cv2.COLOR_BGR2RGB),
        "16UC4": _Layout(np.uint16, 4, "rgb16", cv2.COLOR_BGRA2RGB),
        "mono8": _Layout(np.uint8, 1, "mono8"),
        "8UC1": _Layout(np.uint8, 1, "mono8"),
        "mono16": _Layout(np.uint16, 1, "mono16"),
        "16UC1": _Layout(np.uint16, 1, "mono16"),
        "8SC1": _Layout(np.int8, 1, "32FC1"),
        "16SC1": _Layout(np.int16, 1, "32FC1"),
        "32SC1": _Layout(np.int32, 1, "32FC1"),
        "16FC1": _Layout(np.float16, 1, "32FC1"),
        "32FC1": _Layout(np.float32, 1, "32FC1"),
        "64FC1": _Layout(np.float64, 1, "32FC1"),
        "yuv422": _yuv422(cv2.COLOR_YUV2RGB_UYVY),
        "uyvy": _yuv422(cv2.COLOR_YUV2RGB_UYVY),
        "yuv422_yuy2": _yuv422(cv2.COLOR_YUV2RGB_YUY2),
        "yuyv": _yuv422(cv2.COLOR_YUV2RGB_YUY2),
        "yuy2": _yuv422(cv2.COLOR_YUV2RGB_YUY2),
        "yvyu": _yuv422(cv2.COLOR_YUV2RGB_YVYU),
        "nv12": _yuv420(cv2.COLOR_YUV2RGB_NV12),
        "nv21": _yuv420(cv2.COLOR_YUV2RGB_NV21),
        "i420": _yuv420(cv2.COLOR_YUV2RGB_I420),
        "yuv420": _yuv420(cv2.COLOR_YUV2RGB_I420),
        "yv12": _yuv420(cv2.COLOR_YUV2RGB_YV12),
        **{
            f"bayer_{pattern}{bits}": _Layout(dtype, 1, f"rgb{bits}", code, subsampled=(2, 2))
            for pattern, code in _BAYER.items()
            for bits, dtype in ((8, np.uint8), (16, np.uint16))
        },
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
        The image, ``HxWx3`` uint8 or uint16 RGB, or ``HxW`` uint8, uint16 or float32, and its
        normal encoding ``rgb8``, ``rgb16``, ``mono8``, ``mono16`` or ``32FC1``. Where nothing had
        to be converted the image is a view of ``data``, as writable as ``data`` is.

    Raises:
        UnknownEncodingError: The encoding is unknown.
        EncodingError: Sizes do not add up.
    """
    layout = _LAYOUTS.get(encoding)
    if layout is None:
        raise UnknownEncodingError(
            f"image encoding {encoding!r} is unknown; known: {', '.join(KNOWN_ENCODINGS)}"
        )
    item = np.dtype(layout.dtype).itemsize
    row = width * layout.channels * item
    rows = height * 3 // 2 if layout.chroma else height
    buffer = np.frombuffer(data, np.uint8)
    needed = step * (rows - 1) + row
    if min(height, width) < 1 or step < row or buffer.size < needed:
        raise EncodingError(
            f"image {width}x{height} {encoding}: step {step} and {buffer.size} bytes do not add "
            f"up; a row needs {row} bytes, the image {max(needed, 0)}; check the driver"
        )
    if height % layout.subsampled[0] or width % layout.subsampled[1]:
        raise EncodingError(
            f"image {width}x{height} {encoding}: rows and columns must be multiples of "
            f"{layout.subsampled[0]} and {layout.subsampled[1]}; check the driver"
        )
    image: NDArray[Any] = np.ndarray(
        (rows, width, layout.channels),
        np.dtype(layout.dtype).newbyteorder(">" if is_bigendian else "<"),
        buffer,
        strides=(step, layout.channels * item, item),
    )
    if layout.channels == 1:
        image = image[..., 0]
    dtype = np.float32 if layout.normal == "32FC1" else layout.dtype
    image = image.astype(dtype, copy=False)
    if layout.conversion is not None:
        image = cv2.cvtColor(image, layout.conversion)
    return image, layout.normal


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
    raw = np.frombuffer(data, np.uint8)
    if "compresseddepth" in format.lower():
        return to_modality(*decode_compressed_depth(format, raw), modality)
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
    if encoding == "rgb16" and modality == "thermal":
        return image[..., 1], "mono16"
    if encoding == "rgb16":
        return (image >> 8).astype(np.uint8), "rgb8"
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
