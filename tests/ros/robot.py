"""The rest of a robot: cameras, listeners, and the node under test in its own process."""

import array
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

# Generous: a loaded machine is slow, and a condition that holds ends the wait at once.
TIMEOUT_S = 60.0


def wait_for(condition, what, timeout_s=TIMEOUT_S):
    """Wait until a condition holds; fail with what was waited for."""
    end = time.monotonic() + timeout_s
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout_s:.0f} s in vain for {what}")
        time.sleep(0.01)
    return result


def picture(size, index, channels=3):
    """Return a textured picture that differs from frame to frame."""
    width, height = size
    shape = (height, width, channels) if channels > 1 else (height, width)
    noise = np.random.default_rng(index).integers(0, 64, shape, np.uint8)
    return noise + np.linspace(0, 191, width, dtype=np.uint8).reshape(
        (1, width) + (1,) * (channels > 1)
    )


def image_message(pixels, encoding, stamp_ns, frame_id):
    """Return a camera's message; 16 bits and floats in the machine's byte order."""
    pixels = np.ascontiguousarray(pixels)
    message = Image(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=int(sys.byteorder == "big"),
        step=pixels.strides[0],
        data=array.array("B", pixels.tobytes()),
    )
    message.header.frame_id = frame_id
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    return message


def stamp_ns(message):
    """Return the stamp of a message's header in nanoseconds."""
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


class Robot:
    """One ROS node of the test process, spinning in the background."""

    def __init__(self):
        rclpy.init()
        with warnings.catch_warnings():
            # ROS's own parser still imports a module that Python has deprecated.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.node = rclpy.create_node("robot")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin)
        self._names = itertools.count()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._executor.shutdown()
        rclpy.try_shutdown()
        self._thread.join()

    def _spin(self):
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def start_node(self, log, parameters):
        return NodeProcess(self, f"/robot{next(self._names)}", log, parameters)

    def listen(self, kind, topic, qos=10):
        """Collect the messages of a topic."""
        return Listener(self.node, kind, topic, qos)

    def call(self, kind, name, request):
        """Call a service and return its answer."""
        client = self.node.create_client(kind, name)
        try:
            wait_for(client.service_is_ready, f"service {name}")
            future = client.call_async(request)
            wait_for(future.done, f"an answer of {name}")
            return future.result()
        finally:
            self.node.destroy_client(client)


class Listener:
    """What arrived on one topic."""

    def __init__(self, node, kind, topic, qos):
        self.messages = []
        self._node = node
        self._topic = topic
        self._subscription = node.create_subscription(kind, topic, self.messages.append, qos)

    @property
    def stamps(self):
        return [stamp_ns(message) for message in list(self.messages)]

    def wait_connected(self):
        wait_for(
            lambda: self._node.count_publishers(self._topic) > 0, f"a publisher of {self._topic}"
        )

    def close(self):
        self._node.destroy_subscription(self._subscription)


class NodeProcess:
    """The node under test, in a namespace of its own."""

    def __init__(self, robot, namespace, log, parameters):
        self.robot = robot
        self.namespace = namespace
        self._log = Path(log)
        self._publishers = {}
        arguments = ["-r", f"__ns:={namespace}"]
        for name, value in ({"threads": 1, "device": "cpu"} | parameters).items():
            arguments += ["-p", f"{name}:={value}"]
        with self._log.open("wb") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fusion_node", "--ros-args", *arguments],
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=dict(os.environ),
                start_new_session=True,
            )
        self._diagnostics = robot.listen(DiagnosticArray, "/diagnostics", 100)

    @property
    def log(self):
        return self._log.read_text()

    def topic(self, name):
        return f"{self.namespace}/{name}"

    def listen(self, kind, name, qos=10):
        """Subscribe to one of the node's own topics."""
        return self.robot.listen(kind, self.topic(f"fusion/{name}"), qos)

    def call(self, kind, name, request=None):
        """Call one of the node's services."""
        return self.robot.call(kind, self.topic(f"fusion/{name}"), request or kind.Request())

    def camera(self, name, kind=Image):
        """Return the publisher of a camera topic that the node listens to."""
        topic = self.topic(name)
        if topic not in self._publishers:
            publisher = self.robot.node.create_publisher(kind, topic, QoSProfile(depth=10))
            self._publishers[topic] = publisher
            wait_for(
                lambda: publisher.get_subscription_count() > 0 or self._process.poll() is not None,
                f"the node to listen on {topic}; its log: {self.log}",
            )
            assert self._process.poll() is None, self.log
        return self._publishers[topic]

    def send_visible(self, stamp, pixels, encoding="rgb8", frame_id="rgb_optical"):
        self.camera("rgb/image_raw").publish(image_message(pixels, encoding, stamp, frame_id))

    def send_thermal(self, stamp, pixels, encoding="mono8", frame_id="thermal_optical"):
        self.camera("thermal/image_raw").publish(image_message(pixels, encoding, stamp, frame_id))

    def send_pair(self, stamp, index, size=(160, 128)):
        self.camera("thermal/image_raw"), self.camera("rgb/image_raw")
        self.send_thermal(stamp, picture(size, index, 1))
        self.send_visible(stamp, picture(size, index))

    def fuse_pair(self, images, stamp, index, size=(160, 128)):
        """Send a pair and wait for its fused image."""
        self.send_pair(stamp, index, size)
        wait_for(lambda: stamp in images.stamps, f"the fused image of stamp {stamp}: {self.log}")
        return next(message for message in images.messages if stamp_ns(message) == stamp)

    def diagnostics(self, concern):
        """Return the newest status of one concern as (level, message, values), or None."""
        for array_message in reversed(list(self._diagnostics.messages)):
            for status in array_message.status:
                if status.name == f"{self.namespace}/fusion: {concern}":
                    values = {entry.key: entry.value for entry in status.values}
                    return int.from_bytes(status.level, "little"), status.message, values
        return None

    def wait_diagnostics(self, concern, condition):
        """Wait until the status of a concern fulfils a condition, and return it."""
        return wait_for(
            lambda: (status := self.diagnostics(concern)) and condition(*status) and status,
            f"diagnostics '{concern}', last seen: {self.diagnostics(concern)}",
        )

    def forget_diagnostics(self):
        """Make the next wait look at newer diagnostics only."""
        self._diagnostics.messages.clear()

    def signal(self, number):
        """Signal the whole process group, as a terminal does."""
        os.killpg(self._process.pid, number)

    def wait_exit(self):
        """Wait for the end of the process and return its exit code."""
        return self._process.wait(TIMEOUT_S)

    def kill(self):
        """End the process at once and withdraw what belongs to it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._diagnostics.close()
        for publisher in self._publishers.values():
            self.robot.node.destroy_publisher(publisher)
        self._publishers.clear()
