"""Thermal counts that a camera sends as the bytes of a YUYV picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import SourceError

Converter = Callable[[av.VideoFrame], tuple[NDArray[Any], str]]


def counts_of_bytes(pairs: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Return ``HxW`` counts of the ``HxWx2`` bytes of a YUYV picture, the low byte first."""
    counts: NDArray[np.uint16] = np.ascontiguousarray(pairs).view("<u2")[..., 0]
    return counts.astype(np.uint16, copy=False)


def packed_converter(picture: av.VideoFrame) -> Converter:
    """Return what reads the bytes of each picture as counts, ``mono16``.

    Args:
        picture: The first picture of the stream.

    Raises:
        SourceError: The stream does not have two bytes per pixel.
    """
    converters: dict[str, Converter] = {"yuyv422": _packed_yuyv, "yuv422p": _packed_planes}
    converters["yuvj422p"] = _packed_planes
    converter = converters.get(picture.format.name)
    if converter is None:
        raise SourceError(
            f"thermal.yuyv_counts needs a video in yuyv422 or yuv422p, this one is "
            f"{picture.format.name}: record the camera's YUYV stream without loss, or unset it"
        )
    return converter


def _packed_yuyv(picture: av.VideoFrame) -> tuple[NDArray[Any], str]:
    rows = plane_bytes(picture, 0)[:, : 2 * picture.width]
    return counts_of_bytes(rows.reshape(picture.height, picture.width, 2)), "mono16"


def _packed_planes(picture: av.VideoFrame) -> tuple[NDArray[Any], str]:
    """Put the three planes of a lossless recording in the order in which the camera sent them."""
    width = picture.width
    pairs = np.empty((picture.height, width, 2), np.uint8)
    pairs[..., 0] = plane_bytes(picture, 0)[:, :width]
    pairs[:, 0::2, 1] = plane_bytes(picture, 1)[:, : (width + 1) // 2]
    pairs[:, 1::2, 1] = plane_bytes(picture, 2)[:, : width // 2]
    return counts_of_bytes(pairs), "mono16"


def plane_bytes(picture: av.VideoFrame, index: int) -> NDArray[np.uint8]:
    """Return the bytes of a plane, a row of the picture per row, with its padding."""
    plane = picture.planes[index]
    # PyAV's planes are buffers, which its types do not say.
    buffer: Any = plane
    data = np.frombuffer(buffer, np.uint8)
    return data.reshape(-1, plane.line_size)[: plane.height]
