"""Bags written with rosbags itself, as any recorder would."""

import cv2
import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

IMAGE, COMPRESSED, INFO = (
    f"sensor_msgs/msg/{name}" for name in ("Image", "CompressedImage", "CameraInfo")
)
START = 1_700_000_000_000_000_000
K = (500.0, 0.0, 31.5, 0.0, 510.0, 23.5, 0.0, 0.0, 1.0)
D = (-0.1, 0.01, 0.001, -0.002, 0.0)


class BagMaker:
    """Writes the messages of a test with rosbags itself, as any recorder would."""

    def __init__(self, path, kind):
        self.ros1 = kind == "ros1"
        self.store = get_typestore(Stores.ROS1_NOETIC if self.ros1 else Stores.ROS2_HUMBLE)
        if self.ros1:
            self.path = path.with_suffix(".bag")
            self.writer = Writer1(self.path)
        else:
            self.path = path
            plugin = StoragePlugin.MCAP if kind == "mcap" else StoragePlugin.SQLITE3
            self.writer = Writer2(path, version=9, storage_plugin=plugin)
        self.writer.open()
        self.topics = {}

    def header(self, stamp_ns, frame_id):
        time = self.store.types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
        counter = [0] if self.ros1 else []
        return self.store.types["std_msgs/msg/Header"](*counter, time, frame_id)

    def write(self, topic, kind, message, log_ns):
        if topic not in self.topics:
            self.topics[topic] = self.writer.add_connection(topic, kind, typestore=self.store)
        serialize = self.store.serialize_ros1 if self.ros1 else self.store.serialize_cdr
        self.writer.write(self.topics[topic], log_ns, serialize(message, kind))

    def image(self, topic, stamp_ns, image, encoding, *, frame_id="", delay_ns=0, pad=0):
        rows = image.reshape(image.shape[0], -1).view(np.uint8)
        rows = np.pad(rows, ((0, 0), (0, pad)), constant_values=0xEE)
        message = self.store.types[IMAGE](
            self.header(stamp_ns, frame_id),
            *image.shape[:2],
            encoding,
            0,
            rows.shape[1],
            rows.reshape(-1),
        )
        self.write(topic, IMAGE, message, stamp_ns + delay_ns)

    def compressed(self, topic, stamp_ns, image, suffix, name):
        _, data = cv2.imencode(suffix, image)
        message = self.store.types[COMPRESSED](self.header(stamp_ns, ""), name, data.reshape(-1))
        self.write(topic, COMPRESSED, message, stamp_ns)

    def info(self, topic, stamp_ns, k=K, size=(64, 48)):
        region = self.store.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        arrays = [np.array(v) for v in (D, k, np.eye(3).reshape(-1), np.zeros(12))]
        message = self.store.types[INFO](
            self.header(stamp_ns, ""), *size[::-1], "plumb_bob", *arrays, 0, 0, region
        )
        self.write(topic, INFO, message, stamp_ns)

    def transforms(self, entries, stamp_ns=START):
        """Write transforms as parent, child, translation and quaternion (x, y, z, w)."""
        kind = "tf2_msgs/msg/TFMessage"
        if kind not in self.store.types:
            definition = "geometry_msgs/TransformStamped[] transforms\n"
            self.store.register(get_types_from_msg(definition, kind))
        types = self.store.types
        stamped = [
            types["geometry_msgs/msg/TransformStamped"](
                self.header(stamp_ns, parent),
                child,
                types["geometry_msgs/msg/Transform"](
                    types["geometry_msgs/msg/Vector3"](*place),
                    types["geometry_msgs/msg/Quaternion"](*turn),
                ),
            )
            for parent, child, place, turn in entries
        ]
        self.write("/tf_static", kind, types[kind](stamped), stamp_ns)

    def close(self):
        self.writer.close()
        return self.path

    def raw(self, topic, kind, data, log_ns):
        """Write bytes as a message of a type, whole or not."""
        if topic not in self.topics:
            self.topics[topic] = self.writer.add_connection(topic, kind, typestore=self.store)
        self.writer.write(self.topics[topic], log_ns, data)


def rgb(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def counts(seed=0):
    return np.random.default_rng(seed).integers(0, 65536, (24, 32)).astype(np.uint16)
