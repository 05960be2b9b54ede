"""Two cameras and a receiver in one process, over a real DDS."""

from __future__ import annotations

import array
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from fusion_lab.benches.latency import street_pairs

_WARM_UP, _SETTLE_S = 30, 1.0
_DEPTH, _SHAPE, _PICTURES = 5, (480, 640), 15


class RosCameras:
    """Publishes pairs at a steady rate and receives fused images."""

    def __init__(self, node: Any) -> None:  # noqa: ANN401 - rclpy has no types
        self.node = node
        qos = QoSProfile(depth=_DEPTH)
        self._publishers = [
            self.node.create_publisher(Image, topic, qos)
            for topic in ("thermal/image_raw", "rgb/image_raw")
        ]
        self._pictures = street_pictures()
        self._messages = [_empty_image("mono16", 2), _empty_image("bgr8", 3)]
        self._sent_s: dict[int, float] = {}
        self._latencies_ms: dict[int, float] = {}
        self.node.create_subscription(Image, "fusion/image", self._on_image, qos)

    @property
    def is_connected(self) -> bool:
        """Whether both topics have a subscriber."""
        return all(publisher.get_subscription_count() for publisher in self._publishers)

    def run(self, rate_hz: float, seconds: float) -> tuple[int, list[float]]:
        """Publish pairs at a steady rate, the first ones as a warm-up.

        Returns:
            Number of pairs sent, and the latency of each fused image received, in milliseconds from
            just before its visible image was published to its callback.
        """
        period_ns = round(1e9 / rate_hz)
        start = time.perf_counter()
        for number in range(_WARM_UP + round(rate_hz * seconds)):
            time.sleep(max(0.0, start + number / rate_hz - time.perf_counter()))
            if number == _WARM_UP:
                time.sleep(_SETTLE_S)
                start = time.perf_counter() - number / rate_hz
                self._sent_s.clear()
                self._latencies_ms.clear()
            self._publish_pair(number, period_ns)
        time.sleep(_SETTLE_S)
        return len(self._sent_s), list(self._latencies_ms.values())

    def _publish_pair(self, number: int, period_ns: int) -> None:
        stamp_ns = number * period_ns
        pictures = self._pictures[number % len(self._pictures)]
        for publisher, message, pixels in zip(
            self._publishers, self._messages, pictures, strict=True
        ):
            np.frombuffer(message.data, np.uint8)[:] = pixels.reshape(-1).view(np.uint8)
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
            if message.encoding == "bgr8":
                self._sent_s[stamp_ns] = time.perf_counter()
            publisher.publish(message)

    def _on_image(self, message: Image) -> None:
        now = time.perf_counter()
        stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        if stamp_ns in self._sent_s:
            self._latencies_ms[stamp_ns] = (now - self._sent_s[stamp_ns]) * 1e3


def street_pictures() -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Return thermal and visible (BGR) pictures of the synthetic street.

    They go there and back, so that nothing jumps where they begin anew.
    """
    pictures = []
    for pair in street_pairs(_PICTURES):
        assert pair.thermal is not None, "both streams are there"
        assert pair.visible is not None, "both streams are there"
        pictures.append((pair.thermal.image, pair.visible.image[..., ::-1].copy()))
    return pictures + pictures[-2:0:-1]


@contextmanager
def ros_cameras() -> Iterator[RosCameras]:
    """Start ROS, the cameras and the receiver's thread; end all of them."""
    with spinning_node("bench") as node:
        yield RosCameras(node)


@contextmanager
def spinning_node(name: str) -> Iterator[Any]:
    """Start ROS, a node and a thread that runs its callbacks; end all of them.

    The context is its own: that of the process may exist already, in another domain.
    """
    context = Context()
    rclpy.init(context=context)
    node = rclpy.create_node(name, context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = Thread(target=_spin, args=(executor,), daemon=True)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown()
        thread.join()
        node.destroy_node()
        context.try_shutdown()


def _spin(executor: SingleThreadedExecutor) -> None:
    try:
        executor.spin()
    except ExternalShutdownException:
        return


def _empty_image(encoding: str, pixel_bytes: int) -> Image:
    height, width = _SHAPE
    message = Image(height=height, width=width, encoding=encoding, step=width * pixel_bytes)
    message.data = array.array("B", bytes(height * width * pixel_bytes))
    return message
