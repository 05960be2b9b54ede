"""Two cameras with faults and a receiver in one process, over a real DDS."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from fusion_node.camera_publisher import image_message
from fusion_node.conversions import stamp_from_ns
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from fusion_core.types import Frame, Modality
from fusion_lab.benches.machine import resident_mib
from fusion_lab.benches.ros.cameras import spinning_node
from fusion_lab.benches.soak.bench import SoakSample
from fusion_lab.benches.soak.faults import FaultyCamera

_TOPICS: Final[Mapping[Modality, str]] = {
    "visible": "rgb/image_raw",
    "thermal": "thermal/image_raw",
}
_QOS = QoSProfile(depth=5)
_PERIOD_S, _SETTLE_S, _AROUND_JUMP_S = 5.0, 3.0, 5.0
_SECOND_NS = 1_000_000_000


class FaultyRosCameras:
    """Publishes what faulty cameras hand on, in real time, and receives the results.

    Args:
        node: An rclpy node that spins.
        cameras: Both cameras.
        rate_hz: Frames per second of each.
        reduction: Every so many pixels are sent.

    Attributes:
        sent: Images published, by stream.
        results: Fused images received.
        longest_gap_s: Longest time between two results.
        samples: State of the node every few seconds.
    """

    def __init__(
        self,
        node: Any,  # noqa: ANN401 - rclpy has no types
        cameras: Mapping[Modality, FaultyCamera],
        rate_hz: float,
        reduction: int,
    ) -> None:
        self._node, self._cameras = node, cameras
        self._rate, self._reduction = rate_hz, reduction
        self._publishers: dict[Modality, Publisher | None] = {
            name: node.create_publisher(Image, topic, _QOS) for name, topic in _TOPICS.items()
        }
        self.sent: Counter[str] = Counter()
        self.samples: list[SoakSample] = []
        self.results, self.longest_gap_s = 0, 0.0
        self._last = time.monotonic()
        self._gaps: list[tuple[float, float]] = []  # when results came again, after how long
        self._jumps: list[float] = []
        self._report: DiagnosticArray | None = None
        node.create_subscription(Image, "fusion/image", self._on_result, _QOS)
        node.create_subscription(DiagnosticArray, "/diagnostics", self._on_report, 10)

    @property
    def is_connected(self) -> bool:
        """Whether both topics have a subscriber."""
        return all(p is not None and p.get_subscription_count() for p in self._publishers.values())

    def run(self, seconds: float, process: subprocess.Popen[bytes]) -> None:
        """Publish for some time, or until the node ends."""
        start = self._last = time.monotonic()
        began_ns = time.time_ns()
        for number in range(max(1, round(seconds * self._rate))):
            time.sleep(max(0.0, start + number / self._rate - time.monotonic()))
            for name, camera in self._cameras.items():
                self._publish(name, camera, began_ns)
            if process.poll() is not None:
                return
            elapsed_s = time.monotonic() - start
            if elapsed_s >= len(self.samples) * _PERIOD_S:
                self.samples.append(self._sample(elapsed_s, process))
        time.sleep(_SETTLE_S)  # the last report counts the last frames
        self.samples.append(self._sample(time.monotonic() - start, process))

    def faults(self) -> dict[str, int]:
        """Return the faults begun, by kind."""
        return dict(sum((camera.faults for camera in self._cameras.values()), Counter()))

    def jump_gap_s(self) -> float:
        """Return the longest gap that ended near a jump of a clock."""
        near = (
            gap
            for ended, gap in self._gaps
            for jump in self._jumps
            if jump - _AROUND_JUMP_S < ended < jump + gap + _AROUND_JUMP_S
        )
        return max(near, default=0.0)

    def counters(self) -> dict[str, int]:
        """Return the counters of the node's newest report."""
        found: dict[str, int] = {}
        for status in self._report.status if self._report else ():
            if status.name.endswith((": input", ": synchronisation")):
                found |= {e.key: int(e.value) for e in status.values if e.value.isdecimal()}
        return found

    def _publish(self, name: Modality, camera: FaultyCamera, began_ns: int) -> None:
        before = dict(camera.faults)
        events = list(camera.next_events())
        if camera.faults["jump"] > before.get("jump", 0):
            self._jumps.append(time.monotonic())
        if not self._keep_topic(name, gone=camera.fault == "reconnect"):
            return
        publisher = self._publishers[name]
        for event in events:
            message = Image(height=4, width=4, step=4, encoding="rubbish", data=bytes(16))
            message.header.stamp = stamp_from_ns(time.time_ns())
            if event.frame is not None:
                message = image_message(*self._reduced(event.frame, began_ns))
            assert publisher is not None
            publisher.publish(message)
            self.sent[name] += 1

    def _keep_topic(self, name: Modality, *, gone: bool) -> bool:
        """Withdraw the topic of a camera that is gone, or offer it; return whether it is there."""
        publisher = self._publishers[name]
        if gone and publisher is not None:
            self._node.destroy_publisher(publisher)
            self._publishers[name] = None
        elif not gone and publisher is None:
            self._publishers[name] = self._node.create_publisher(Image, _TOPICS[name], _QOS)
        return not gone

    def _reduced(self, frame: Frame, began_ns: int) -> tuple[Frame, Header]:
        """Return a small frame and its header, stamped with the present."""
        step = self._reduction
        stamp_ns = began_ns + frame.stamp_ns - 1000 * _SECOND_NS  # the cameras begin at 1000 s
        pixels = np.ascontiguousarray(frame.image[::step, ::step])
        return replace(frame, image=pixels), Header(stamp=stamp_from_ns(max(0, stamp_ns)))

    def _sample(self, elapsed_s: float, process: subprocess.Popen[bytes]) -> SoakSample:
        return SoakSample(elapsed_s, resident_mib(process.pid), self.results, float("nan"))

    def _on_result(self, _message: Image) -> None:
        now = time.monotonic()
        gap = now - self._last
        self._last = now
        self.results += 1
        self.longest_gap_s = max(self.longest_gap_s, gap)
        if gap > 2 / self._rate:
            self._gaps.append((now, gap))

    def _on_report(self, message: DiagnosticArray) -> None:
        if any(status.name.endswith("fusion: input") for status in message.status):
            self._report = message


@contextmanager
def faulty_ros_cameras(
    cameras: Mapping[Modality, FaultyCamera], rate_hz: float, reduction: int
) -> Iterator[FaultyRosCameras]:
    """Start ROS, the cameras and the receiver's thread; end all of them."""
    with spinning_node("soak") as node:
        yield FaultyRosCameras(node, cameras, rate_hz, reduction)
