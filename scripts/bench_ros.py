"""Camera in, fused image out over DDS at 640x480: p50, p99 and share of frames delivered.

Cameras and receiver share one process, the node is another. Latency is from just before the
visible image is published to the receiver's callback. The row `network excluded` runs the same
node with the mean of both images in the network's place.
"""

from __future__ import annotations

import argparse
import array
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from torch import Tensor

from fusion_core.models import Cues, LumaFuser, LumaOutput

PROFILE = Path(__file__).resolve().parents[1] / "ros2_ws/src/fusion_node/config/fastdds.xml"
EXCLUDED = "network excluded"
WARM_UP, TIMEOUT_S = 30, 120.0


@dataclass(frozen=True)
class MeanConfig:
    """A mean has no settings."""


class Mean(LumaFuser):
    """The mean of both images: no network worth speaking of."""

    def __init__(self) -> None:
        super().__init__("mean", MeanConfig())

    def fuse_luma(self, thermal: Tensor, visible: Tensor, slots: Tensor, cues: Cues) -> LumaOutput:  # noqa: ARG002
        return LumaOutput((thermal + visible) / 2)


def run_node(name: str) -> int:
    """Be the node, with the named network or with none."""
    from fusion_node.main import main

    from fusion_core.pipeline import rooms

    if name == EXCLUDED:
        rooms.load_model = lambda _name, _device: Mean().eval()
    return main(None)


class Bench:
    """Cameras and receiver."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("bench")
        self.cameras = [
            self.node.create_publisher(Image, topic, QoSProfile(depth=5))
            for topic in ("thermal/image_raw", "rgb/image_raw")
        ]
        rng = np.random.default_rng(0)
        self.frames = [
            (
                rng.integers(0, 65535, (480, 640), np.uint16),
                rng.integers(0, 255, (480, 640, 3), np.uint8),
            )
            for _ in range(8)
        ]
        self.messages = [
            self._message((480, 640), "mono16", 2),
            self._message((480, 640), "bgr8", 3),
        ]
        self.sent: dict[int, float] = {}
        self.latencies_ms: dict[int, float] = {}
        self.node.create_subscription(Image, "fusion/image", self._receive, QoSProfile(depth=5))

    @staticmethod
    def _message(shape: tuple[int, int], encoding: str, size: int) -> Image:
        height, width = shape
        message = Image(height=height, width=width, encoding=encoding, step=width * size)
        message.data = array.array("B", bytes(height * width * size))
        return message

    def _receive(self, message: Image) -> None:
        now = time.perf_counter()
        number = message.header.stamp.nanosec // 1000 + message.header.stamp.sec * 1_000_000
        if number in self.sent:
            self.latencies_ms[number] = (now - self.sent[number]) * 1e3

    def send(self, number: int, period_ns: int) -> None:
        """Publish one pair with stamps that stand for its number."""
        for camera, message, pixels in zip(
            self.cameras, self.messages, self.frames[number % 8], strict=True
        ):
            np.frombuffer(message.data, np.uint8)[:] = pixels.reshape(-1).view(np.uint8)
            seconds, nanoseconds = divmod(number * period_ns, 1_000_000_000)
            message.header.stamp.sec, message.header.stamp.nanosec = seconds, nanoseconds
            if message.encoding == "bgr8":
                stamp = nanoseconds // 1000 + seconds * 1_000_000
                self.sent[stamp] = time.perf_counter()
            camera.publish(message)

    def run(self, rate: float, seconds: float) -> None:
        """Publish pairs at a steady rate; the first second is not counted."""
        period_ns = round(1e9 / rate)
        start = time.perf_counter()
        total = WARM_UP + round(rate * seconds)
        for number in range(total):
            time.sleep(max(0.0, start + number / rate - time.perf_counter()))
            self.send(number, period_ns)
            if number == WARM_UP:
                time.sleep(1.0)
                start = time.perf_counter() - number / rate
                self.sent.clear()
                self.latencies_ms.clear()
        time.sleep(1.0)


def measure(name: str, rate: float, seconds: float) -> str:
    """Return one row of the table."""
    command = [sys.executable, __file__, "--be-node", name, "--ros-args", "--log-level", "warn"]
    if name != EXCLUDED:
        command += ["-p", f"model:={name}"]
    process = subprocess.Popen(command, start_new_session=True)
    bench = Bench()
    executor = SingleThreadedExecutor()
    executor.add_node(bench.node)

    def spin() -> None:
        try:
            executor.spin()
        except ExternalShutdownException:
            return

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        end = time.monotonic() + TIMEOUT_S
        while any(camera.get_subscription_count() == 0 for camera in bench.cameras):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"bench_ros: the node did not start with {name}")
            time.sleep(0.1)
        time.sleep(1.0)
        bench.run(rate, seconds)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        executor.shutdown()
        thread.join()
        bench.node.destroy_node()
    values = np.array(list(bench.latencies_ms.values()))
    delivered = 100 * len(values) / max(len(bench.sent), 1)
    p50, p99 = np.percentile(values, (50, 99)) if len(values) else (np.nan, np.nan)
    return f"| {name} | {rate:g} | {p50:.1f} | {p99:.1f} | {delivered:.1f} |"


def main() -> int:
    """Measure what the command line asks for."""
    if sys.argv[1:2] == ["--be-node"]:
        name = sys.argv.pop(2)
        sys.argv.remove("--be-node")
        return run_node(name)
    parser = argparse.ArgumentParser(prog="scripts/bench_ros", description=__doc__)
    parser.add_argument("--model", action="append", help="networks to measure beside none")
    parser.add_argument("--rate", type=float, default=30.0, help="pairs per second")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each row")
    given = parser.parse_args()
    os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(PROFILE)
    rclpy.init()
    print("| network | Hz | p50 ms | p99 ms | delivered % |")
    print("|---|---|---|---|---|")
    for name in [EXCLUDED, *(given.model or ["m2pn-edge"])]:
        print(measure(name, given.rate, given.seconds), flush=True)
    rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
