"""Cameras of the operating system (Video4Linux) through OpenCV."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import SourceError
from fusion_core.runtime.drop_log import DropLog
from fusion_core.source.packed_counts import counts_of_bytes
from fusion_core.transport.bit_depth import BitDepth
from fusion_core.transport.image_codec import to_modality
from fusion_core.types import Frame, Modality

_Y16 = cv2.VideoWriter.fourcc(*"Y16 ")
_YUYV = cv2.VideoWriter.fourcc(*"YUYV")
_RETRIES = 20
_RETRY_S = 0.05


class CameraReader:
    """One camera as a live input; see ``FrameReader``.

    Frames are stamped with the system clock when they have been read. A thermal camera that
    offers raw 16-bit counts (Y16) is read raw.

    Args:
        device: ``/dev/videoN``.
        modality: What the camera sees.
        packed_counts: The two bytes per pixel of a thermal YUYV picture are one 16-bit count.

    Raises:
        SourceError: The camera cannot be opened.
    """

    def __init__(self, device: str, modality: Modality, *, packed_counts: bool = False) -> None:
        self.name = device
        self.drop_log = DropLog()
        self._modality: Modality = modality
        self._depth = BitDepth()
        self._count = 0
        self._failures = 0
        is_device = Path(device).is_char_device()
        self._capture = cv2.VideoCapture(device, cv2.CAP_V4L2 if is_device else cv2.CAP_ANY)
        if not self._capture.isOpened():
            raise SourceError(
                f"{device}: cannot be opened as a camera; check that no other program uses it "
                "and that you may read it (group video)"
            )
        self._packed_counts = packed_counts and modality == "thermal"
        if self._packed_counts:
            self._capture.set(cv2.CAP_PROP_FOURCC, _YUYV)
            self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        elif is_device and modality == "thermal":
            self._select_raw_format()

    def read(self, timeout_s: float) -> Frame | None:
        """Wait for the next picture; the driver's own time limit applies.

        Raises:
            SourceError: The camera is gone, or failed too often in a row.
        """
        good, picture = self._capture.read()
        if not good:
            self._failures += 1
            if self._failures > _RETRIES or not Path(self.name).exists():
                raise SourceError(
                    f"{self.name}: no picture in {self._failures} attempts after frame "
                    f"{self._count}; check the cable"
                )
            time.sleep(min(timeout_s, _RETRY_S))
            return None
        stamp_ns = time.time_ns()
        self._failures = 0
        image, encoding = self._pixels(picture)
        self._count += 1
        return Frame(stamp_ns, self._modality, image, encoding, "", self._count - 1)

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()

    def _pixels(self, picture: NDArray[Any]) -> tuple[NDArray[Any], str]:
        if not self._packed_counts:
            return to_modality(*_normalise(picture), self._modality, self._depth)
        width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if picture.dtype != np.uint8 or picture.size != 2 * width * height:
            raise SourceError(
                f"{self.name}: thermal.yuyv_counts needs two bytes per pixel, the camera gives "
                f"{picture.size} bytes for {width}x{height}: unset it, or choose another camera"
            )
        return counts_of_bytes(picture.reshape(height, width, 2)), "mono16"

    def _select_raw_format(self) -> None:
        self._capture.set(cv2.CAP_PROP_FOURCC, _Y16)
        offered = int(self._capture.get(cv2.CAP_PROP_FOURCC)) == _Y16
        self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0 if offered else 1)


def _normalise(picture: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Return what OpenCV captured as RGB or one channel, with the encoding's name."""
    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[..., 0]
    if picture.ndim == 2:
        return picture, "mono16" if picture.dtype == np.uint16 else "mono8"
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), "rgb8"
