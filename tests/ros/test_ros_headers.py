"""Stamp, frame and camera of results: the source image's, in messages and in bags alike."""

import itertools

import numpy as np
import pytest
import yaml
from fusion_node.result_publishers import ResultPublishers
from rclpy.qos import QoSProfile
from robot import picture, repeat_until, stamp_ns, wait_for
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import CameraInfo, Image

from fusion_core.sink.bag import BagSink
from fusion_core.transport.result_header import result_header
from fusion_core.types import AlignedPair, CameraModel, Frame, FramePair, FusedFrame, PixelGrid

SIZE = (64, 48)
K = (50.0, 0.0, 32.0, 0.0, 51.0, 24.0, 0.0, 0.0, 1.0)
RGB = CameraModel(*SIZE, "plumb_bob", (0.1, 0.2, 0.0, 0.0, 0.0), K)
STEREO = CameraModel(
    *SIZE,
    "rational_polynomial",
    (0.1,) * 8,
    K,
    r=(0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0),
    p=(40.0, 0.0, 30.0, -4.0, 0.0, 40.0, 20.0, 0.0, 0.0, 0.0, 1.0, 0.0),
)
LARGE = CameraModel(640, 480, "plumb_bob", (), K)
START = 1_700_000_000_000_000_000


def result(number, camera, sides, lead, grid=None):
    """Return a result whose frames are stamped 1 and 2 ns after it, as with offsets."""
    stamp = START + number * 1000
    colour, grey = np.zeros((48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8)
    visible = Frame(stamp + 1, "visible", colour, "rgb8", "rgb", camera=camera)
    heat = Frame(stamp + 2, "thermal", grey, "mono8", "lwir", camera=RGB)
    pair = FramePair(
        stamp, visible if "v" in sides else None, heat if "t" in sides else None, None, lead=lead
    )
    aligned = AlignedPair(stamp, None, None, np.ones((48, 64), bool), grid=grid)
    image = np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8)
    return FusedFrame(number, stamp, image, pair, aligned)


RESULTS = [
    result(0, RGB, "vt", "visible"),
    result(1, STEREO, "vt", "visible"),
    result(2, RGB, "vt", "thermal"),  # the visible frame held, or thermal the master
    result(3, None, "v", "visible"),  # not calibrated
    result(4, LARGE, "v", "visible"),  # camera info for another size
    result(5, None, "t", "thermal"),
    result(6, None, "t", "thermal", PixelGrid("rgb", RGB)),
    result(7, None, "t", "thermal", PixelGrid("", None)),
]


def camera_of(info):
    """Return what a camera info of rclpy or of rosbags holds, without its header."""
    arrays = [[float(value) for value in getattr(info, name)] for name in ("d", "k", "r", "p")]
    return info.width, info.height, info.distortion_model, *arrays


def bag_messages(path, topic):
    with AnyReader([path]) as reader:
        connections = [each for each in reader.connections if each.topic == topic]
        return [
            reader.deserialize(raw, connection.msgtype)
            for connection, _, raw in reader.messages(connections)
        ]


def test_a_bag_and_the_node_state_the_same(robot, tmp_path):
    publishers = ResultPublishers(robot.node, lambda _topic, line: pytest.fail(line))
    images = robot.listen(Image, "robot/image", QoSProfile(depth=20))
    infos = robot.listen(CameraInfo, "robot/camera_info", QoSProfile(depth=20))
    try:
        wait_for(publishers.have_subscribers, "the subscriptions")
        wait_for(lambda: robot.node.count_subscribers("robot/camera_info"), "the subscription")
        with BagSink(tmp_path / "bag") as sink:
            for index, fused in enumerate(RESULTS):
                sink.write(fused)
                publishers.publish(fused, result_header(fused))
                wait_for(lambda n=index: len(images.messages) > n, f"image {index}")
        expected = bag_messages(tmp_path / "bag", "/fusion/image")
        assert [(stamp_ns(each), each.header.frame_id) for each in images.messages] == [
            (stamp_ns(each), each.header.frame_id) for each in expected
        ]
        ids = ["rgb", "rgb", "rgb", "rgb", "rgb", "lwir", "rgb", ""]
        assert [each.header.frame_id for each in expected] == ids
        shifts = [1, 1, 2, 1, 1, 2, 2, 2]
        assert [stamp_ns(each) - START for each in expected] == [
            index * 1000 + shift for index, shift in enumerate(shifts)
        ]
        cameras = bag_messages(tmp_path / "bag", "/fusion/camera_info")
        assert [(stamp_ns(each) - START) // 1000 for each in cameras] == [0, 1, 2, 5, 6]
        wait_for(lambda: len(infos.messages) >= len(cameras), "the camera infos")
        assert [(stamp_ns(each), camera_of(each)) for each in infos.messages] == [
            (stamp_ns(each), camera_of(each)) for each in cameras
        ]
    finally:
        publishers.destroy()
        images.close()
        infos.close()


@pytest.mark.parametrize(
    ("policy", "seen", "frame_id"),
    [
        ("thermal_only", False, ""),
        ("thermal_only", True, "rgb_optical"),
        ("hold", True, "rgb_optical"),
    ],
)
def test_thermal_alone_is_published_with_a_rigs_time_offset(
    start, tmp_path, policy, seen, frame_id
):
    """The rig's clock is 250 ms late; what is published carries the camera's own stamp."""
    rig = {"homography": np.eye(3).tolist(), "visible_size": [160, 128]}
    rig |= {"thermal_size": [160, 128], "thermal_offset_ms": -250.0}
    (tmp_path / "rig.yaml").write_text(yaml.safe_dump(rig))
    node = start(
        calibration=tmp_path / "rig.yaml",
        **{"sync.on_missing_visible": policy, "registration.refine": "off"},
    )
    images = node.listen(Image, "image")
    node.camera("thermal/image_raw"), node.camera("rgb/image_raw")
    indices, sent = itertools.count(), set()

    def send_both():
        index = next(indices)
        node.send_thermal(index * 100 + 250, picture((160, 128), index, 1))
        node.send_visible(index * 100, picture((160, 128), index))

    def send_thermal():
        index = next(indices)
        sent.add(node.at(index * 100 + 250))
        node.send_thermal(index * 100 + 250, picture((160, 128), index, 1))

    def alone():
        return [message for message in images.messages if stamp_ns(message) in sent]

    if seen:
        repeat_until(send_both, lambda: images.messages, "a fused image")
    repeat_until(send_thermal, lambda: len(alone()) >= 3, "thermal images", 0.2)
    assert {message.header.frame_id for message in alone()} == {frame_id}
    assert "Traceback" not in node.log
