"""The calibration ``tf``: camera infos and ``/tf_static`` in place of a rig file."""

from pathlib import Path

import numpy as np
from fusion_node.static_transform import STATIC_TRANSFORMS, transform_arguments
from geometry_msgs.msg import TransformStamped
from robot import picture, repeat_until, stamp_ns, wait_for
from sensor_msgs.msg import CameraInfo
from tf2_msgs.msg import TFMessage

from fusion_core.registration import Rig
from fusion_core.transport.transforms import TransformTree

SAMPLE = Path(__file__).resolve().parents[2] / "calibration" / "boson_640.yaml"
SIZES = {"rgb": (160, 120), "thermal": (128, 96)}


def published(rig_file, parent, child):
    """Return what tf2's static publisher makes of a rig's arguments."""
    arguments = transform_arguments(rig_file, parent, child)
    values = dict(zip(arguments[::2], arguments[1::2], strict=True))
    stamped = TransformStamped(child_frame_id=values["--child-frame-id"])
    stamped.header.frame_id = values["--frame-id"]
    for axis in "xyz":
        setattr(stamped.transform.translation, axis, float(values[f"--{axis}"]))
    for axis in "xyzw":
        setattr(stamped.transform.rotation, axis, float(values[f"--q{axis}"]))
    return TFMessage(transforms=[stamped])


def test_what_a_rig_publishes_is_the_transform_that_comes_back():
    tree = TransformTree()
    tree.add_message(published(SAMPLE, "rgb", "lwir"))
    found = tree.between("rgb", "lwir")
    np.testing.assert_allclose(found, Rig.load(SAMPLE).t_thermal_rgb, atol=1e-8)


def send(node, ms, index):
    """Send camera infos and a pair of the two sizes."""
    for name, frame in (("rgb", "rgb_optical"), ("thermal", "thermal_optical")):
        width, height = SIZES[name]
        info = CameraInfo(width=width, height=height, distortion_model="plumb_bob")
        info.header.frame_id = frame
        info.k = [width / 1.2, 0.0, width / 2, 0.0, width / 1.2, height / 2, 0.0, 0.0, 1.0]
        info.d = [0.0] * 5
        node.camera(f"{name}/camera_info", CameraInfo).publish(info)
    node.send_thermal(ms, picture(SIZES["thermal"], index, 1))
    node.send_visible(ms, picture(SIZES["rgb"], index))


def test_the_node_fuses_as_soon_as_the_transform_is_there(start, robot):
    node = start(calibration="tf:5", detector="none", prior="none")
    images = node.connect()
    numbers = iter(range(1, 1000))

    def send_next():
        number = next(numbers)
        send(node, 100 * number, number)

    def waits(level, text, _values):
        return level == 1 and "no transform between 'rgb_optical' and 'thermal_optical'" in text

    repeat_until(
        send_next,
        lambda: (found := node.diagnostics("calibration")) and waits(*found),
        "a warning that the transform is missing",
    )
    # Until then the robot sees the colour camera alone.
    repeat_until(send_next, lambda: images.messages, "a visible picture")
    shown = {(message.width, message.height) for message in images.messages}
    assert shown == {SIZES["rgb"]}
    publisher = robot.advertise(TFMessage, "/tf_static", STATIC_TRANSFORMS)
    try:
        publisher.publish(published(SAMPLE, "rgb_optical", "thermal_optical"))
        repeat_until(
            send_next,
            lambda: (found := node.diagnostics("calibration")) and found[0] == 0,
            "the calibration",
        )
        before = max(map(stamp_ns, images.messages))
        repeat_until(
            send_next,
            lambda: any(stamp_ns(message) > before for message in images.messages),
            "a fused picture",
        )
    finally:
        robot.withdraw(publisher)
    wait_for(lambda: node.diagnostics("calibration")[1] == "tf:5", "the name of the calibration")
