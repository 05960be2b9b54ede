"""A robot around the node under test: cameras, subscribers, and the node in its own process."""

import array
import atexit
import contextlib
import functools
import itertools
import os
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image

MS = 1_000_000
START_NS = 1_700_000_000_000_000_000
_RESOLVED = ("fused", "dropped busy", "dropped frozen", "dropped failed")
# Generous: a loaded machine is slow, and a condition that holds ends the wait at once.
TIMEOUT_S = 60.0


def wait_for(condition, what, timeout_s=TIMEOUT_S):
    """Wait until a condition holds; fail with what was waited for."""
    end = time.monotonic() + timeout_s
    while not (result := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout_s:.0f} s without {what}")
        time.sleep(0.01)
    return result


def repeat_until(action, condition, what, period_s=0.5):
    """Act again and again until it shows: the first messages of a new connection may be lost."""
    end = time.monotonic() + TIMEOUT_S
    while True:
        action()
        try:
            return wait_for(condition, what, period_s)
        except AssertionError:
            if time.monotonic() > end:
                raise


def number(values, key):
    """Return a counter of a diagnostic status; one that is not listed is zero."""
    return int(values.get(key, 0))


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


@functools.cache
def shared_robot():
    """Return the only robot of this process, whatever folder's tests ask for it first."""
    robot = Robot()
    robot.start()
    atexit.register(robot.close)
    return robot


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
        # Entities are made and withdrawn while nothing waits on them: rclpy's executor ends on one
        # that vanishes under it, and with it every later test.
        self._turn = threading.Lock()
        self._ended = threading.Event()
        self.errors = []
        # Python waits for other threads before it runs what `atexit` holds, the robot's end.
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._nodes = 0
        self._clients = {}

    def start(self):
        self._thread.start()

    def close(self):
        self._ended.set()
        self._thread.join()
        self._executor.shutdown()
        rclpy.try_shutdown()

    def _spin(self):
        """Run callbacks until the end; an error is kept for the test that runs, and that is all."""
        while not self._ended.is_set() and rclpy.ok():
            try:
                with self._turn:
                    self._executor.spin_once(timeout_sec=0.02)
            except Exception as error:  # noqa: BLE001 - the robot serves the tests to come
                self.errors.append(error)
            # A lock goes to whoever asks first: leave the others a moment.
            time.sleep(0.001)

    def subscribe(self, kind, topic, callback, qos):
        with self._turn:
            return self.node.create_subscription(kind, topic, callback, qos)

    def advertise(self, kind, topic, qos):
        with self._turn:
            return self.node.create_publisher(kind, topic, qos)

    def withdraw(self, entity):
        """Destroy a subscription, publisher or client."""
        destroy = {
            Subscription: self.node.destroy_subscription,
            Publisher: self.node.destroy_publisher,
            Client: self.node.destroy_client,
        }[type(entity)]
        with self._turn:
            destroy(entity)

    def start_node(self, log, parameters):
        namespace = self.next_namespace()
        self._nodes += 1
        return NodeProcess(self, namespace, log, parameters)

    def next_namespace(self):
        """Return the namespace of the node that is started next."""
        return f"/robot{self._nodes}"

    def listen(self, kind, topic, qos=10):
        """Collect the messages of a topic."""
        return Listener(self, kind, topic, qos)

    def call(self, kind, name, request):
        """Call a service and return its answer; the client is kept, as finding a service takes."""
        client = self._clients.get(name)
        if client is None:
            with self._turn:
                client = self._clients[name] = self.node.create_client(kind, name)
        wait_for(client.service_is_ready, f"service {name}")
        future = client.call_async(request)
        wait_for(future.done, f"an answer of {name}")
        return future.result()

    def forget_services(self, namespace):
        """Withdraw the clients of a node that has ended."""
        for name in [name for name in self._clients if name.startswith(f"{namespace}/")]:
            self.withdraw(self._clients.pop(name))


class Listener:
    """What arrived on one topic, in order of arrival."""

    def __init__(self, robot, kind, topic, qos):
        self._arrived = []
        self._after_ns = -1
        self._robot = robot
        self._subscription = robot.subscribe(kind, topic, self._arrived.append, qos)

    @property
    def messages(self):
        return [message for message in list(self._arrived) if stamp_ns(message) > self._after_ns]

    @property
    def stamps(self):
        return [stamp_ns(message) for message in self.messages]

    def ignore_until(self, stamp):
        """Leave out messages stamped up to then, also those that are still to come."""
        self._after_ns = stamp

    def forget(self):
        self._arrived.clear()

    def close(self):
        self._robot.withdraw(self._subscription)


class NodeProcess:
    """The node under test, in a namespace of its own."""

    def __init__(self, robot, namespace, log, parameters):
        self.robot = robot
        self.namespace = namespace
        self._log = Path(log)
        self._publishers = {}
        self._start_ns = START_NS
        self._baseline = {}
        self._diagnostics = robot.listen(DiagnosticArray, "/diagnostics", 100)
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
        """Return the publisher of a camera topic that the node subscribes to."""
        topic = self.topic(name)
        if topic not in self._publishers:
            publisher = self.robot.advertise(kind, topic, QoSProfile(depth=10))
            self._publishers[topic] = publisher
            wait_for(
                lambda: publisher.get_subscription_count() > 0 or self._process.poll() is not None,
                f"a subscription of {topic}",
            )
            assert self._process.poll() is None, self.log
        return self._publishers[topic]

    def connect(self, qos=10):
        """Subscribe to the fused image, and send pairs until one has gone all the way.

        What these pairs leave behind is not seen by the listener, nor counted by `counters`.
        """
        images = self.listen(Image, "image", qos)
        stamps = itertools.count(START_NS, 100 * MS)

        def send():
            self._start_ns = next(stamps)
            self.send_pair(0, 0)

        repeat_until(send, lambda: images.messages, "a first fused image")
        images.ignore_until(self._start_ns)
        self._start_ns += 100 * MS
        self._baseline = self._quiet_counters()
        return images

    def at(self, ms):
        """Return the stamp so many milliseconds after the begin of the test."""
        return self._start_ns + round(ms * MS)

    def send_visible(self, ms, pixels, encoding="rgb8"):
        message = image_message(pixels, encoding, self.at(ms), "rgb_optical")
        self.camera("rgb/image_raw").publish(message)

    def send_thermal(self, ms, pixels, encoding="mono8"):
        message = image_message(pixels, encoding, self.at(ms), "thermal_optical")
        self.camera("thermal/image_raw").publish(message)

    def send_pair(self, ms, index, size=(160, 128)):
        self.camera("thermal/image_raw"), self.camera("rgb/image_raw")
        self.send_thermal(ms, picture(size, index, 1))
        self.send_visible(ms, picture(size, index))

    def fuse_pair(self, images, ms, index, size=(160, 128)):
        """Send a pair and wait for its fused image."""
        self.send_pair(ms, index, size)
        stamp = self.at(ms)
        wait_for(lambda: stamp in images.stamps, f"the fused image at {ms} ms")
        return next(message for message in images.messages if stamp_ns(message) == stamp)

    def counters(self):
        """Wait until everything sent is dealt with; return what was counted since `connect`."""
        counters = self._quiet_counters()
        return {key: value - self._baseline.get(key, 0) for key, value in counters.items()}

    def _quiet_counters(self):
        self._diagnostics.forget()

        def counters():
            status_input, pairing = self.diagnostics("input"), self.diagnostics("synchronisation")
            if status_input is None or pairing is None:
                return None
            values = status_input[2] | pairing[2]
            silent = all(
                float(values[f"{name} received Hz"]) == 0 for name in ("visible", "thermal")
            )
            resolved = sum(number(values, key) for key in _RESOLVED) == number(values, "pairs")
            return values if silent and resolved else None

        values = wait_for(counters, f"quiet, last seen: {self.diagnostics('synchronisation')}")
        return {key: int(value) for key, value in values.items() if value.isdecimal()}

    def diagnostics(self, concern):
        """Return the newest status of one concern as (level, message, values), or None."""
        for report in reversed(self._diagnostics.messages):
            for status in report.status:
                if status.name == f"{self.namespace}/fusion: {concern}":
                    values = {entry.key: entry.value for entry in status.values}
                    return int.from_bytes(status.level, "little"), status.message, values
        return None

    def wait_diagnostics(self, concern, condition):
        """Wait until the status of a concern fulfils a condition, and return it."""
        wait_for(
            lambda: (status := self.diagnostics(concern)) and condition(*status),
            f"diagnostics '{concern}', last seen: {self.diagnostics(concern)}",
        )
        return self.diagnostics(concern)

    def signal(self, number):
        """Signal the whole process group, as a terminal does."""
        os.killpg(self._process.pid, number)

    def children(self):
        """Return the processes that the node has started."""
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]

    def wait_exit(self):
        """Wait for the end of the process and return its exit code."""
        return self._process.wait(TIMEOUT_S)

    def end(self):
        """End the process in order; one that takes five seconds is killed.

        A killed process leaves its shared memory behind, under names that the next one takes: what
        the robot then sends may go to the memory of the dead one.
        """
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self.kill()

    def kill(self):
        """End the process at once and withdraw what belongs to it."""
        self._process.kill()
        self._process.wait()
        self.robot.forget_services(self.namespace)
        self._diagnostics.close()
        for publisher in self._publishers.values():
            self.robot.withdraw(publisher)
        self._publishers.clear()
