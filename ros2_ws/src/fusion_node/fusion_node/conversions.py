# Copyright 2026 The fusion-core maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Messages to the core's values and back, without copies where the pixels allow it."""

from __future__ import annotations

import array
from dataclasses import replace

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from fusion_core.drawing import draw_detections
from fusion_core.errors import EncodingError
from fusion_core.transport.camera_info import camera_info_fields
from fusion_core.transport.image_codec import decode_compressed, decode_image, to_modality
from fusion_core.transport.result_header import ResultHeader
from fusion_core.types import CameraModel, Frame, FusedFrame, Modality, UInt8Image

_SECOND_NS = 1_000_000_000
_JPEG_QUALITY = 90


def stamp_to_ns(stamp: Time) -> int:
    """Return a message's stamp in integer nanoseconds."""
    return int(stamp.sec) * _SECOND_NS + int(stamp.nanosec)


def stamp_from_ns(stamp_ns: int) -> Time:
    """Return integer nanoseconds as a message's stamp."""
    seconds, nanoseconds = divmod(stamp_ns, _SECOND_NS)
    return Time(sec=seconds, nanosec=nanoseconds)


def frame_from_message(message: Image | CompressedImage, modality: Modality) -> Frame:
    """Return the frame of one image message with its header's stamp.

    Its pixels may share the message's memory.

    Raises:
        EncodingError: The encoding is unknown, or the data do not fit the size.
    """
    if isinstance(message, CompressedImage):
        image, encoding = decode_compressed(message.format, message.data, modality)
    else:
        image, encoding = decode_image(
            message.height,
            message.width,
            message.encoding,
            message.step,
            bool(message.is_bigendian),
            message.data,
        )
        image, encoding = to_modality(image, encoding, modality)
    return Frame(
        stamp_ns=stamp_to_ns(message.header.stamp),
        modality=modality,
        image=image,
        encoding=encoding,
        frame_id=message.header.frame_id,
    )


def fitting_frame(frame: Frame, camera: CameraModel | None) -> Frame:
    """Return the frame with its camera, where the camera is known and of the frame's size."""
    if camera is None or (camera.height, camera.width) != frame.image.shape[:2]:
        return frame
    return replace(frame, camera=camera)


def mask_from_message(message: Image) -> NDArray[np.uint8]:
    """Return the pixels of a mask message; they may share the message's memory.

    Raises:
        EncodingError: The message is not mono8, or its data do not fit the size.
    """
    if message.encoding not in {"mono8", "8UC1"}:
        raise EncodingError(f"mask of encoding {message.encoding!r}: a mask is mono8")
    mask, _ = decode_image(
        message.height,
        message.width,
        message.encoding,
        message.step,
        bool(message.is_bigendian),
        message.data,
    )
    return mask


def camera_info_message(camera: CameraModel, header: Header) -> CameraInfo:
    """Return a camera's intrinsics."""
    return CameraInfo(header=header, **camera_info_fields(camera))


def header_message(result: ResultHeader) -> Header:
    """Return the stamp and frame of a result."""
    return Header(stamp=stamp_from_ns(result.stamp_ns), frame_id=result.frame_id)


class ImageMessage:
    """One bgr8 message whose buffer is filled again for every frame.

    Publishing serialises at once, so the buffer is free afterwards; filling a kept
    ``array.array`` is an order of magnitude faster than giving the message new bytes.
    """

    def __init__(self) -> None:
        self._message = Image()
        self._view: NDArray[np.uint8] = np.empty((0, 0, 3), np.uint8)

    def fill(self, image: UInt8Image, header: Header) -> Image:
        """Return the message with an ``HxWx3`` RGB image in it, valid until the next call."""
        if image.shape != self._view.shape:
            height, width = image.shape[:2]
            self._message = Image(height=height, width=width, encoding="bgr8", step=width * 3)
            self._message.data = array.array("B", bytes(image.size))
            # The message may have copied the buffer: the view is of the message's own array.
            self._view = np.frombuffer(self._message.data, np.uint8).reshape(image.shape)
        cv2.cvtColor(image, cv2.COLOR_RGB2BGR, dst=self._view)
        self._message.header = header
        return self._message


def jpeg_message(image: UInt8Image, header: Header) -> CompressedImage:
    """Return an ``HxWx3`` RGB image as a JPEG message."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return CompressedImage(
        header=header, format="bgr8; jpeg compressed bgr8", data=array.array("B", data.tobytes())
    )


def recalled_message(fused: FusedFrame, header: Header) -> Image:
    """Return what of the fused image is shown from memory as mono8; 0: as the cameras see it."""
    height, width = fused.image.shape[:2]
    weight = (
        np.zeros((height, width), np.uint8) if fused.recalled is None else fused.recalled.weight
    )
    return Image(
        header=header,
        height=height,
        width=width,
        encoding="mono8",
        step=width,
        data=array.array("B", weight.tobytes()),
    )


def debug_picture(fused: FusedFrame) -> UInt8Image:
    """Return visible, aligned thermal and fused image side by side, boxes on the fused one.

    A missing side is black.
    """
    aligned = fused.aligned
    visible = np.zeros_like(fused.image) if aligned.visible is None else aligned.visible
    thermal = np.zeros_like(fused.image)
    if aligned.thermal is not None:
        thermal[:] = np.rint(aligned.thermal * 255).astype(np.uint8)[..., None]
    return np.hstack([visible, thermal, draw_detections(fused.image, fused.detections)])
