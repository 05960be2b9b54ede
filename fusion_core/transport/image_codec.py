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
from fusion_core.transport.bit_depth import BitDepth
from fusion_core.transport.compressed_depth import decode_compressed_depth
from fusion_core.transport.picture import MAX_PIXELS, decode_picture
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
    if height * width > MAX_PIXELS:
        raise EncodingError(
            f"image of {width}x{height} pixels: the limit is {MAX_PIXELS / 1e6:.1f} megapixels; "
            "let the driver send a smaller one"
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
    depth: BitDepth | None = None,
) -> tuple[NDArray[Any], str]:
    """Turn a compressed picture (JPEG, PNG, TIFF, ...) into an image of one modality.

    Args:
        format: What the sender calls it, such as ``jpeg`` or ``16UC1; png compressed``.
        data: The file's bytes, as any buffer.
        modality: What the picture shows; see ``to_modality``.
        depth: Depth of the stream; see ``to_modality``.

    Returns:
        The image and its encoding, as a ``Frame`` holds them.

    Raises:
        EncodingError: The picture is truncated, too large, of an unknown kind or of an unusable
            layout.
    """
    if "compresseddepth" in format.lower():
        raw = np.frombuffer(data, np.uint8)
        return to_modality(*decode_compressed_depth(format, raw), modality, depth)
    try:
        picture = decode_picture(bytes(data))
    except EncodingError as error:
        raise EncodingError(f"compressed image ({format or 'no format'}): {error}") from error
    return to_modality(*normalise_picture(picture), modality, depth)


def to_modality(
    image: NDArray[Any], encoding: str, modality: Modality, depth: BitDepth | None = None
) -> tuple[NDArray[Any], str]:
    """Bring a decoded image to the form its stream has inside.

    Visible becomes ``rgb8``: one channel is repeated, 16 bits are scaled by the stream's depth.
    Thermal stays as the camera gave it, except that a gray picture in three channels becomes one
    channel with all its levels; a colour-mapped one becomes ``rgb8``.

    Args:
        image: ``HxWx3`` uint8 or uint16 RGB, or ``HxW`` uint8, uint16 or float32.
        encoding: ``rgb8``, ``rgb16``, ``mono8``, ``mono16`` or ``32FC1``.
        modality: Which stream the image belongs to.
        depth: Depth of the stream, one object for all its images; None: 16 bits.

    Raises:
        EncodingError: A visible image in floating point.
    """
    if modality == "thermal" and encoding in {"rgb8", "rgb16"} and is_gray(image):
        return _one_channel(image), "mono8" if encoding == "rgb8" else "mono16"
    if modality == "thermal" and encoding != "rgb16":
        return image, encoding
    if encoding == "32FC1":
        raise EncodingError(
            "visible image in encoding '32FC1': expected colour or gray in 8 or 16 bits; "
            "are the visible and thermal streams swapped?"
        )
    if encoding in {"mono16", "rgb16"}:
        image = (depth or BitDepth(16)).to_8_bit(image)
    if image.ndim == 2:
        image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    return image, "rgb8"


def is_gray(image: NDArray[Any]) -> bool:
    """Return whether a ``HxWx3`` uint8 or uint16 image is gray, up to a tint and chroma noise."""
    sample = image[::2, ::2].astype(np.int32)
    green = sample[..., 1]
    spread = max(float(np.std(sample[..., channel] - green)) for channel in (0, 2))
    levels = 255 if image.dtype == np.uint8 else max(255, int(green.max(initial=0)))
    return spread < _GRAY_SPREAD * levels / 255


def normalise_picture(picture: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Return what OpenCV decoded as RGB or one channel, with the encoding's name.

    Alpha is left out. Signed, 32-bit, half and double precision samples become float32.

    Raises:
        EncodingError: The picture has channels that differ and are neither 8 nor 16 bits.
    """
    colours = {"uint8": "rgb8", "uint16": "rgb16"}
    if picture.ndim == 3 and picture.shape[2] in {3, 4} and picture.dtype.name in colours:
        code = cv2.COLOR_BGRA2RGB if picture.shape[2] == 4 else cv2.COLOR_BGR2RGB
        return cv2.cvtColor(picture, code), colours[picture.dtype.name]
    if picture.ndim == 3 and (picture.shape[2] <= 2 or _equal_channels(picture)):
        picture = np.ascontiguousarray(picture[..., 0])
    if picture.ndim != 2 or picture.dtype.kind not in "uif":
        raise EncodingError(
            f"picture of {picture.dtype} with shape {picture.shape}: expected colour of 8 or 16 "
            "bits, or one channel"
        )
    names = {"uint8": "mono8", "uint16": "mono16"}
    if picture.dtype.name in names:
        return picture, names[picture.dtype.name]
    with np.errstate(over="ignore"):
        return picture.astype(np.float32, copy=False), "32FC1"


def _one_channel(image: NDArray[Any]) -> NDArray[Any]:
    """Return the levels of a gray image in three channels, exactly where they are equal."""
    if _equal_channels(image):
        return np.ascontiguousarray(image[..., 1])
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))


def _equal_channels(image: NDArray[Any]) -> bool:
    first = image[..., 1]
    return np.array_equal(first, image[..., 0]) and np.array_equal(first, image[..., 2])
