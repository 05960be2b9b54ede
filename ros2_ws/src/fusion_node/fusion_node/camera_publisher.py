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

"""Play any recorded source as two live cameras: input for the node without a robot."""

from __future__ import annotations

import array
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import NoReturn

import numpy as np
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from fusion_core.runtime.process import end_process
from fusion_core.source import Source, open_source
from fusion_core.types import Frame, Modality
from fusion_node.conversions import camera_info_message, stamp_from_ns
from fusion_node.process import run_process
from fusion_node.topic_names import camera_topics

_BASES: dict[Modality, str] = {"visible": "rgb", "thermal": "thermal"}
_SETTLE_S = 1.0
_POLL_S = 0.1
_DEFAULTS: dict[str, str | float | bool | int] = {
    "bag": "",
    "visible": "",
    "thermal": "",
    "visible_topic": "",
    "thermal_topic": "",
    "speed": 1.0,
    "loop": False,
    "frames": 0,
    "wait_for_subscriber": True,
}


class CameraPublisher(Node):
    """Publish `rgb/*` and `thermal/*` at the pace of the recording, stamped with the present."""

    def __init__(self) -> None:
        super().__init__("camera_publisher")
        for name, default in _DEFAULTS.items():
            self.declare_parameter(name, default)
        topics = {modality: camera_topics(self, base) for modality, base in _BASES.items()}
        self._images = {
            modality: self.create_publisher(Image, names.image, QoSProfile(depth=5))
            for modality, names in topics.items()
        }
        self._infos = {
            modality: self.create_publisher(CameraInfo, names.info, QoSProfile(depth=5))
            for modality, names in topics.items()
        }
        self.published = dict.fromkeys(_BASES, 0)

    def play(self, stop: threading.Event) -> None:
        """Publish until the source ends, or with `loop` again and again, or until the event is set.

        Raises:
            FusionError: The source cannot be opened or breaks off.
        """
        self._await_subscriber(stop)
        while not stop.is_set():
            self._play_once(stop)
            if not self._value("loop"):
                break
        # The last messages are still in transit and would be lost with their publisher.
        stop.wait(_SETTLE_S)

    def _play_once(self, stop: threading.Event) -> None:
        with closing(self._open()) as source:
            limit = int(self._value("frames"))
            for frame in self._paced(source, stop):
                if limit and self.published[frame.modality] >= limit:
                    return
                self._publish(frame)

    def _open(self) -> Source:
        text = {name: str(self._value(name)) or None for name in list(_DEFAULTS)[:5]}
        return open_source(
            text["bag"],
            visible=text["visible"],
            thermal=text["thermal"],
            visible_topic=text["visible_topic"],
            thermal_topic=text["thermal_topic"],
        )

    def _paced(self, source: Source, stop: threading.Event) -> Iterator[Frame]:
        """Yield each frame at its time, restamped, until the event is set."""
        speed = float(self._value("speed"))
        start_s, origin_ns = time.monotonic(), self.get_clock().now().nanoseconds
        first_ns: int | None = None
        for frame in source.frames():
            first_ns = frame.stamp_ns if first_ns is None else first_ns
            elapsed_ns = round((frame.stamp_ns - first_ns) / speed)
            if stop.wait(max(0.0, start_s + elapsed_ns / 1e9 - time.monotonic())):
                return
            yield replace(frame, stamp_ns=origin_ns + elapsed_ns)

    def _publish(self, frame: Frame) -> None:
        name = frame.frame_id or f"{_BASES[frame.modality]}_optical_frame"
        header = Header(stamp=stamp_from_ns(frame.stamp_ns), frame_id=name)
        self._infos[frame.modality].publish(_info_message(frame, header))
        self._images[frame.modality].publish(image_message(frame, header))
        self.published[frame.modality] += 1

    def _await_subscriber(self, stop: threading.Event) -> None:
        def unsubscribed(publisher: Publisher) -> bool:
            return bool(publisher.get_subscription_count() == 0)

        while self._value("wait_for_subscriber") and any(map(unsubscribed, self._images.values())):
            if stop.wait(_POLL_S):
                return
        # The subscribers of the node's own results need a moment to connect, too.
        stop.wait(_SETTLE_S)

    def _value(self, name: str) -> str | float | bool | int:
        value: str | float | bool | int = self.get_parameter(name).value
        return value


def image_message(frame: Frame, header: Header) -> Image:
    """Return a frame as a driver sends it."""
    pixels = np.ascontiguousarray(frame.image)
    height, width = pixels.shape[:2]
    message = Image(header=header, height=height, width=width, encoding=frame.encoding)
    message.is_bigendian = int(sys.byteorder == "big")
    message.step = pixels.strides[0]
    message.data = array.array("B", pixels.tobytes())
    return message


def _info_message(frame: Frame, header: Header) -> CameraInfo:
    """Return the intrinsics; without any only the size, as an uncalibrated camera does."""
    if frame.camera is not None:
        return camera_info_message(frame.camera, header)
    height, width = frame.image.shape[:2]
    return CameraInfo(header=header, height=height, width=width)


def _play(node: CameraPublisher, stop: threading.Event) -> None:
    node.play(stop)
    counts = ", ".join(f"{count} {name}" for name, count in node.published.items())
    node.get_logger().info(f"published {counts} images")


def main(args: list[str] | None = None) -> int:
    """Play the source that the parameters name; return the exit code."""
    return run_process("camera_publisher", CameraPublisher, _play, args)


def program() -> NoReturn:
    """Run the node as a program."""
    end_process(main())


if __name__ == "__main__":
    program()
