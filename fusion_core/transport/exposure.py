"""Exposure times, as picture files and the messages beside images state them."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

from fusion_core.transport.orientation import exif_block
from fusion_core.transport.tiff_file import MAGICS, tiff_exposure_s
from fusion_core.types import Frame

# A class of rosbags or of ROS, made at run time; both have the fields of the definition.
Message: TypeAlias = Any

DIAGNOSTICS: Final = "diagnostic_msgs/msg/DiagnosticArray"
_REALSENSE: Final = "realsense2_camera_msgs/msg/Metadata"
_FLIR: Final = "flir_camera_msgs/msg/ImageMetaData"
_KEY: Final = "exposure_time"
_LONGEST_S: Final = 3600.0
_NS: Final = 1_000_000_000
_MOST_KNOWN: Final = 64


def file_exposure_s(data: bytes) -> float | None:
    """Return the EXIF exposure time of a JPEG, PNG, WebP or TIFF file in seconds, or None."""
    exif = data if data[:4] in MAGICS else exif_block(data)
    return None if exif is None else _plausible(tiff_exposure_s(exif))


def message_exposure_s(message: Message, kind: str) -> float | None:
    """Return the exposure time that a message beside an image states, in seconds, or None.

    Args:
        message: The message.
        kind: Its type, one of ``EXPOSURE_TYPES``.
    """
    try:
        return _plausible(EXPOSURE_TYPES[kind](message))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def exposed_at_ns(message: Message) -> int:
    """Return the stamp of the image that a message belongs to, in nanoseconds."""
    stamp = message.header.stamp
    return int(stamp.sec) * _NS + int(stamp.nanosec)


class ExposureMatcher:
    """Gives frames the exposure times that come beside them, by their stamps.

    A frame whose time has not come yet waits for it, until the next frame at most. Where no times
    come at all, none waits.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[int, float] = OrderedDict()
        self._waiting: Frame | None = None

    def add_frame(self, frame: Frame) -> list[Frame]:
        """Take a frame; return the frames that are complete, in order."""
        done = self.take_waiting()
        exposure_s = self._known.get(frame.stamp_ns)
        if exposure_s is None and self._known:
            self._waiting = frame
            return done
        return [*done, replace(frame, exposure_s=exposure_s) if exposure_s else frame]

    def add_exposure(self, stamp_ns: int, exposure_s: float | None) -> list[Frame]:
        """Take the exposure time of the image of a stamp; return the frame that is complete now."""
        if exposure_s is None:
            return []
        waiting = self._waiting
        self._known[stamp_ns] = exposure_s
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        if waiting is None or waiting.stamp_ns != stamp_ns:
            return []
        self._waiting = None
        return [replace(waiting, exposure_s=exposure_s)]

    def take_waiting(self) -> list[Frame]:
        """Return the frame that waits, if one does, without a time."""
        waiting, self._waiting = self._waiting, None
        return [] if waiting is None else [waiting]


def _of_realsense(message: Message) -> float | None:
    exposure_us = json.loads(message.json_data).get("actual_exposure")
    return None if exposure_us is None else float(exposure_us) / 1e6


def _of_flir(message: Message) -> float | None:
    return float(message.exposure_time) / 1e6


def _of_diagnostics(message: Message) -> float | None:
    values = (pair for status in message.status for pair in status.values)
    found = next((pair.value for pair in values if pair.key == _KEY), None)
    return None if found is None else float(found)


EXPOSURE_TYPES: Final[Mapping[str, Callable[[Message], float | None]]] = {
    _REALSENSE: _of_realsense,
    _FLIR: _of_flir,
    DIAGNOSTICS: _of_diagnostics,
}
"""Types of messages with the stamp of an image that state its exposure time: of RealSense cameras,
of FLIR's visible ones, and diagnostics with a value ``exposure_time`` in seconds."""


def _plausible(seconds: float | None) -> float | None:
    usable = seconds is not None and math.isfinite(seconds) and 0 < seconds <= _LONGEST_S
    return seconds if usable else None
