"""Detections over DDS: a real node with a real detector in its own process."""

import itertools
import json
import signal
import subprocess
import sys

import av
import numpy as np
import onnx_networks as networks
import pytest
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from fusion_node.vision_messages import detections_from_message, detections_message
from rclpy.qos import DurabilityPolicy, QoSProfile
from robot import picture, repeat_until, stamp_ns, wait_for
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from fusion_core.types import Detection

# Every frame waits for its own detections, however slow the machine is.
WAITING = {"detection.every": 1}


@pytest.fixture
def detector(tmp_path):
    """One person in every 160 x 128 picture, at (40, 20, 50, 80).

    The picture covers the columns 0 to 63 and the rows 6 to 56 of the 64 x 64 input: factor 0.4 in
    x, and 51 / 128 in y.
    """
    rows = np.zeros((1, 5, 16), np.float32)
    rows[0, :, 0] = [26, 60 * 51 / 128 + 6, 20, 80 * 51 / 128, 0.75]
    metadata = {"names": "{0: 'person'}"}
    return networks.constant(tmp_path / "net.onnx", {"output0": rows}, metadata=metadata)


def test_convention_boxes_by_centre_with_the_header_of_the_source(start, detector):
    node = start(detector=detector, **WAITING)
    images = node.connect()
    arrays, debug = node.listen(Detection2DArray, "detections"), node.listen(Image, "debug_image")
    fused = {}
    for index in range(40):
        fused[node.at(index * 100)] = node.fuse_pair(images, index * 100, index)
        if len(arrays.messages) >= 3 and debug.messages:
            break
    message = arrays.messages[-1]
    source = fused[stamp_ns(message)]
    assert message.header == source.header
    assert message.header.frame_id == "rgb_optical"
    (found,) = message.detections
    assert found.header == message.header
    centre = found.bbox.center
    assert (centre.position.x, centre.position.y) == pytest.approx((65, 60), abs=1e-3)
    assert centre.theta == 0
    assert (found.bbox.size_x, found.bbox.size_y) == pytest.approx((50, 80), abs=1e-3)
    (result,) = found.results
    assert result.hypothesis.class_id == "person"
    assert result.hypothesis.score == pytest.approx(0.75)
    assert found.id == "1"
    drawn, plain = pixels(debug.messages[-1])[:, 320:], pixels(fused[stamp_ns(debug.messages[-1])])
    # The box's left column is drawn on the fused part only.
    assert (drawn[30:95, 40] != plain[30:95, 40]).any(axis=1).all()
    assert np.array_equal(drawn[30:95, 45:85], plain[30:95, 45:85])


def test_what_is_predicted_has_the_stamp_at_which_it_was_seen():
    """The message's own stamp is that of the picture for which all boxes hold."""
    header = Header(stamp=Time(sec=5, nanosec=20), frame_id="rgb_optical")
    found = (
        Detection("person", 0.5, (1.0, 2.0, 3.0, 4.0), track_id=3, predicted=True),
        Detection("car", 0.75, (5.0, 6.0, 7.0, 8.0)),
    )
    message = detections_message(found, header, age_ns=30)
    assert message.header == header
    predicted, seen = message.detections
    assert seen.header == header
    assert (predicted.header.stamp.sec, predicted.header.stamp.nanosec) == (4, 999_999_990)
    assert predicted.header.frame_id == "rgb_optical"
    assert detections_from_message(message) == found


def pixels(message):
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.width, 3)


def test_the_detector_runs_only_for_subscribers(start, detector):
    node = start(detector=detector)
    images = node.connect()
    for index in range(3):
        node.fuse_pair(images, index * 100, index)

    def counted(values):
        return int(values.get("person detections", 0))

    node.counters()
    _, message, values = node.diagnostics("detector")
    assert (message, counted(values)) == ("yolov8 on CPU", 0)
    arrays = node.listen(Detection2DArray, "detections")
    for index in range(3, 40):
        node.fuse_pair(images, index * 100, index)
        if any(message.detections for message in arrays.messages):
            break
    node.wait_diagnostics("detector", lambda _level, _message, values: counted(values) > 0)


def test_a_failing_detector_is_reported_and_fusing_goes_on(start, tmp_path):
    node = start(detector=networks.fails_on_bright(tmp_path / "net.onnx"), **WAITING)
    images = node.connect()
    node.listen(Detection2DArray, "detections")

    def send(index, value):
        node.send_thermal(index * 100, picture((160, 128), index, 1) // 8 + np.uint8(value))
        node.send_visible(index * 100, np.full((128, 160, 3), value, np.uint8))
        wait_for(lambda: node.at(index * 100) in images.stamps, f"frame {index}")

    indices = itertools.count()

    def detector_status(condition):
        return (status := node.diagnostics("detector")) and condition(*status)

    repeat_until(
        lambda: send(next(indices), 220),
        lambda: detector_status(lambda level, message, _: level == 1 and "executed" in message),
        "the failure in the diagnostics",
    )
    repeat_until(
        lambda: send(next(indices), 30),
        lambda: detector_status(lambda level, *_: level == 0),
        "recovery in the diagnostics",
    )


def test_temperature_alarms(start, detector):
    """The person's box at 80 C on a ground at 20 C, then at 40 C: a topic, latched, and the
    diagnostics say so. The detector runs although nobody subscribes to what it finds."""
    node = start(
        **{
            "detector": detector,
            "thermal.unit": "kelvin",
            "thermal.scale": 0.01,
            "temperature.alarm_above_c": 60.0,
            "temperature.alarm_after_s": 0.2,
        }
    )
    images = node.connect()
    indices = itertools.count()

    def send(celsius):
        index = next(indices)
        heat = np.full((128, 160), 29315, np.uint16)
        heat[20:100, 40:90] = celsius * 100 + 27315
        heat[0, index % 160] += 1
        node.send_thermal(index * 100, heat, "mono16")
        node.send_visible(index * 100, picture((160, 128), index))
        wait_for(lambda: node.at(index * 100) in images.stamps, f"frame {index}")

    def temperature(condition):
        return (status := node.diagnostics("temperature")) and condition(*status)

    repeat_until(
        lambda: send(80),
        lambda: temperature(lambda level, *_: level == 1),
        "the alarm in the diagnostics",
    )
    _, message, values = node.diagnostics("temperature")
    assert message == "person 1: 80.0 C, above 60.0 C"
    assert values["alarms"] == "1"
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    alarms = node.listen(DiagnosticArray, "alarms", latched)
    (late,) = wait_for(lambda: alarms.messages, "the alarm for a late subscriber")[:1]
    (status,) = late.status
    assert late.header.frame_id == "rgb_optical"
    assert (status.name, status.hardware_id) == ("temperature above: person 1", "1")
    assert {entry.key: entry.value for entry in status.values}["limit"] == "60.000"
    repeat_until(
        lambda: send(40),
        lambda: not alarms.messages[-1].status,
        "the end of the alarm",
    )


def test_a_missing_detector_leaves_the_node_unconfigured(start, tmp_path):
    node = start(detector=str(tmp_path / "none.onnx"))
    _, message, _ = node.wait_diagnostics("node", lambda level, *_: level == 2)
    assert "none.onnx: no such file" in message


def test_the_recorder_writes_detections(start, detector, tmp_path):
    """The log holds what the node published, the video shows it."""
    node = start(detector=detector, **WAITING)
    out, video = tmp_path / "out" / "fused.jsonl", tmp_path / "out" / "fused.mkv"
    arguments = [
        "--ros-args",
        "-r",
        f"__ns:={node.namespace}",
        "-p",
        f"out:={json.dumps([str(out), str(video)])}",
        "-p",
        "overlay:=true",
    ]
    recorder = subprocess.Popen([sys.executable, "-m", "fusion_node.recorder", *arguments])
    try:
        node.wait_diagnostics("node", lambda _level, message, _values: message == "fusing")
        images = node.connect()
        for index in range(4):
            node.fuse_pair(images, index * 100, index)
        node.wait_diagnostics("detector", lambda *status: "person detections" in status[2])
        recorder.send_signal(signal.SIGINT)
        assert recorder.wait(60) == 0
    finally:
        recorder.kill()
        recorder.wait()
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    boxes = [found["box"] for line in lines for found in line["detections"]]
    assert boxes[-1] == pytest.approx([40, 20, 50, 80], abs=1e-3)
    with av.open(str(video)) as container:
        picture = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][-1]
    # The box's left edge is drawn in a colour; the pictures are nearly gray.
    edge, beside = (np.ptp(picture[30:90, x].astype(int), axis=1).mean() for x in (40, 30))
    assert edge > beside + 40
    summary = json.loads((out.parent / "run.json").read_text())
    assert summary["detection"]["detections"]["person"] >= 1
