"""What a robot sends by mistake: the node refuses it, says so within bounds, and goes on."""

import itertools
import json
import random
import signal
import subprocess
import sys

import numpy as np
import pytest
import rclpy
from ros_environment import prepare

if not prepare():
    pytest.skip("ROS is not installed", allow_module_level=True)

from fusion_node.box_marker import boxes_message
from fusion_node.memory_file import name_memory_file
from fusion_node.result_grid import ResultGrid
from fusion_node.topic_names import camera_topics
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from robot import image_message, number, picture, repeat_until, shared_robot
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray

from fusion_core.config import Config
from fusion_core.types import AlignedPair, Detection, Frame, FramePair, FusedFrame, PixelGrid

pytestmark = pytest.mark.ros
# Every number of lifecycle_msgs/Transition, those that only the node itself may take, and none.
TRANSITIONS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 20, 30, 40, 50, 60, 61, 62, 90, 97, 99, 255]


@pytest.fixture
def node(tmp_path):
    """Start one node; it is ended after the test whatever happens."""
    started = []

    def start(**parameters):
        log = tmp_path / f"node{len(started)}.log"
        started.append(shared_robot().start_node(log, parameters))
        return started[-1]

    yield start
    for process in started:
        process.kill()


def change(node, transition):
    request = ChangeState.Request(transition=Transition(id=transition))
    return node.call(ChangeState, "change_state", request).success


def state(node):
    return node.call(GetState, "get_state").current_state.label


def set_parameter(node, name, value):
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    return node.call(SetParameters, "set_parameters", request).results[0]


def test_transitions_that_do_not_fit_are_refused_in_every_state(node):
    """Which transitions a state has is written in lifecycle_msgs/Transition."""
    under_test = node(autostart=False, prior="none", detector="none")
    for steps, label, fitting in (
        ((), "unconfigured", {1, 5}),
        ((1,), "inactive", {2, 3, 6}),
        ((3,), "active", {4, 7}),
    ):
        for step in steps:
            assert change(under_test, step)
        for transition in set(TRANSITIONS) - fitting:
            assert not change(under_test, transition), (label, transition)
            assert state(under_test) == label, transition
    assert "refused" in under_test.log
    assert change(under_test, Transition.TRANSITION_ACTIVE_SHUTDOWN)
    for transition in (1, 3, 5, 7):
        assert not change(under_test, transition)
    assert state(under_test) == "finalized"


def random_message(source, seed):
    """Return a message whose fields contradict one another, or that is of an odd kind."""
    height, width = source.choice([0, 1, 7, 128]), source.choice([0, 1, 9, 160])
    message = Image(height=height, width=width)
    message.encoding = source.choice(["rgb8", "mono16", "bayer_x", "", "32FC1", f"odd{seed}"])
    message.step = source.choice([0, 1, width * 3, width * 6, 2**32 - 1])
    message.is_bigendian = source.choice([0, 1, 255])
    message.data = source.randbytes(source.choice([0, 1, 999, height * width * 3]))
    message.header.frame_id = source.choice(["", "rgb", "r" * 5000, "\N{SNOWMAN}"])
    message.header.stamp.sec = source.choice([0, 1, -5, 2**31 - 1])
    return message


def test_random_messages_neither_end_the_node_nor_fill_its_log(node):
    under_test = node(prior="none", detector="none")
    images = under_test.connect()
    source, sent = random.Random(3), itertools.count()

    def send():
        for topic in ("rgb/image_raw", "thermal/image_raw", "fusion/mask"):
            under_test.camera(topic).publish(random_message(source, next(sent)))

    def dropped():
        _, _, values = under_test.diagnostics("synchronisation")
        return number(values, "dropped unknown_encoding") > 150

    repeat_until(send, dropped, "messages that were dropped", 0.02)
    under_test.fuse_pair(images, 10**6, 1)
    assert under_test.log.count("image dropped") <= 100
    assert under_test.log.count("mask not used") <= 50
    assert max(map(len, under_test.log.splitlines())) < 2000


def test_a_foreign_debug_image_does_not_end_the_recorder(tmp_path):
    robot, out = shared_robot(), tmp_path / "fused.jsonl"
    arguments = ["-r", "__ns:=/foreign", "-p", f"out:={json.dumps([str(out)])}"]
    log = tmp_path / "recorder.log"
    with log.open("wb") as stream:
        recorder = subprocess.Popen(
            [sys.executable, "-m", "fusion_node.recorder", "--ros-args", *arguments],
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    topics = {"image": Image, "debug_image": Image, "detections": Detection2DArray}
    publishers = {
        name: robot.advertise(kind, f"/foreign/fusion/{name}", 20) for name, kind in topics.items()
    }
    stamps = itertools.count(10**9, 10**9)

    def publish(debug, detections):
        stamp = next(stamps)
        detections.header.stamp.sec = stamp // 10**9
        publishers["image"].publish(
            image_message(picture((16, 12), 0), "bgr8", stamp, "rgb_optical")
        )
        publishers["debug_image"].publish(debug(stamp))
        publishers["detections"].publish(detections)
        return stamp

    def image(shape, encoding="bgr8"):
        return lambda stamp: image_message(np.full(shape, 9, np.uint8), encoding, stamp, "rgb")

    def newest():
        whole, _, _ = out.read_text().rpartition("\n") if out.exists() else ("", "", "")
        lines = whole.splitlines()
        return json.loads(lines[-1])["stamp_ns"] if lines else 0

    try:
        right = image((12, 48, 3))
        repeat_until(lambda: publish(right, Detection2DArray()), newest, "a recorded result")
        for wrong in (
            image((12, 48), "mono8"),
            image((12, 51, 3)),
            image((24, 48, 3)),
            image((6, 3, 3)),
            image((0, 0, 3)),
            image((1, 1), "32FC1"),
        ):
            publish(wrong, Detection2DArray())
        # A box without a class.
        last = publish(right, Detection2DArray(detections=[Detection2D()]))
        repeat_until(
            lambda: publish(right, Detection2DArray()), lambda: newest() > last, "more results"
        )
        recorder.send_signal(signal.SIGINT)
        assert recorder.wait(60) == 0, log.read_text()
        assert "Traceback" not in log.read_text()
        summary = json.loads((tmp_path / "run.json").read_text())
        assert summary["not_recorded"]["invalid"] >= 6
    finally:
        recorder.kill()
        recorder.wait()
        for publisher in publishers.values():
            robot.withdraw(publisher)


def test_parameters_are_refused_where_they_would_be_of_no_use(node, tmp_path):
    under_test = node(autostart=False, prior="none", detector="none")
    (tmp_path / "rig.yaml").write_text("homography: nonsense")
    for name, value in (
        ("model", "no_such_model"),
        ("calibration", str(tmp_path / "missing.yaml")),
        ("calibration", str(tmp_path / "rig.yaml")),
        ("image_transport", "theora"),
    ):
        result = set_parameter(under_test, name, value)
        assert not result.successful, name
        assert result.reason
    # An integer for a float, and `off` as YAML reads it.
    assert set_parameter(under_test, "sync.max_skew_ms", 30).successful
    assert set_parameter(under_test, "registration.refine", False).successful
    assert set_parameter(under_test, "frame_id", "colour").successful
    assert change(under_test, Transition.TRANSITION_CONFIGURE)
    assert not set_parameter(under_test, "frame_id", "other").successful
    assert change(under_test, Transition.TRANSITION_ACTIVATE)
    assert not set_parameter(under_test, "image_transport", "compressed").successful


def test_an_unknown_transport_at_start_is_no_silent_compressed(node):
    under_test = node(image_transport="theora")
    under_test.wait_diagnostics("node", lambda level, text, _v: level == 2 and "theora" in text)


def test_two_nodes_do_not_share_a_memory_bank(node, tmp_path):
    file = tmp_path / "{node}.safetensors"
    options = {"prior": "none", "detector": "none", "memory.file": file}
    nodes = [node(**options), node(**options)]
    for under_test in nodes:
        under_test.wait_diagnostics("node", lambda level, text, _v: level == 0 and "idle" in text)
    for under_test in nodes:
        name = under_test.namespace.strip("/") + ".fusion"
        assert (tmp_path / f"{name}.safetensors.lock").exists()
    shared = tmp_path / f"{nodes[0].namespace.strip('/')}.fusion.safetensors"
    third = node(**options | {"memory.file": shared})
    third.wait_diagnostics("node", lambda level, text, _v: level == 2 and str(shared) in text)


def test_the_file_of_a_bank_is_named_by_the_whole_name():
    named = [
        name_memory_file(Config.from_dict({"memory": {"file": "/d/{node}.st"}}), name).memory.file
        for name in ("/front/fusion", "/fusion", "/a/b/fusion2")
    ]
    assert named == ["/d/front.fusion.st", "/d/fusion.st", "/d/a.b.fusion2.st"]


def test_camera_infos_lie_beside_the_images():
    """The rule is that of image_transport's getCameraInfoTopic."""
    node = shared_robot().node
    topics = camera_topics(node, "rgb")
    assert (topics.image, topics.info) == ("/rgb/image_raw", "/rgb/camera_info")
    compressed = camera_topics(node, "rgb", "compressed")
    assert compressed.image == "/rgb/image_raw/compressed"
    assert compressed.info == "/rgb/camera_info"


@pytest.mark.parametrize(
    ("remapped", "transport", "expected"),
    [
        (
            {"rgb/image_raw": "/front/image_rect"},
            "raw",
            ("/front/image_rect", "/front/camera_info"),
        ),
        (
            {"rgb/image_raw": "/front/image_rect"},
            "compressed",
            ("/front/image_rect/compressed", "/front/camera_info"),
        ),
        ({"rgb/image_raw": "/image"}, "raw", ("/image", "/camera_info")),
        (
            {"rgb/image_raw": "cam/image", "rgb/camera_info": "/calibrated"},
            "raw",
            ("/cam/image", "/calibrated"),
        ),
        (
            {"rgb/image_raw/compressed": "/jpeg"},
            "compressed",
            ("/jpeg", "/rgb/camera_info"),
        ),
    ],
)
def test_remapping_the_images_moves_their_camera_infos(remapped, transport, expected):
    shared_robot()
    arguments = ["--ros-args"]
    for rule in remapped.items():
        arguments += ["-r", ":=".join(rule)]
    node = rclpy.create_node("remapped", cli_args=arguments)
    topics = camera_topics(node, "rgb", transport)
    node.destroy_node()
    assert (topics.image, topics.info) == expected


SIZE, SMALL = (48, 64, 3), (24, 32, 3)


def fused(shape, visible=False, grid=None):
    image = np.zeros(shape, np.uint8)
    frame = Frame(1, "visible", image, "rgb8", "rgb") if visible else None
    heat = Frame(1, "thermal", image[..., 0], "mono8", "lwir")
    aligned = AlignedPair(1, None, None, np.ones(shape[:2], bool), grid=grid)
    return FusedFrame(0, 1, image, FramePair(1, frame, heat, None), aligned)


def test_a_result_off_the_colour_cameras_grid_is_named():
    fresh = ResultGrid()
    assert "thermal camera's pixels" in fresh.deviation(fused(SMALL))
    assert fresh.deviation(fused(SMALL, grid=PixelGrid("", None))) == ""  # mapped by a rig
    seen = ResultGrid()
    assert seen.deviation(fused(SIZE, visible=True)) == ""
    assert seen.deviation(fused(SIZE, grid=PixelGrid("rgb", None))) == ""
    assert "64x48" in seen.deviation(fused(SMALL, grid=PixelGrid("rgb", None)))


def test_boxes_are_closed_outlines():
    boxes = (Detection("person", 0.9, (1.0, 2.0, 10.0, 20.0)),)
    message = boxes_message(boxes, Header(frame_id="rgb"))
    points = [(point.x, point.y) for point in message.points]
    assert points[::2] == [(1, 2), (11, 2), (11, 22), (1, 22)]
    assert points[1::2] == points[2::2] + points[:1]
    assert message.header.frame_id == "rgb"
    assert list(boxes_message((), Header()).points) == []
