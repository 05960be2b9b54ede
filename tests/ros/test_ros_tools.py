"""Camera publisher and recorder beside the node: files in, files out, everything over DDS."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time

import av
import cv2
import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from fusion_node.health_check import problem_of
from robot import image_message, picture, repeat_until, wait_for
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

FRAMES = 8


@pytest.fixture
def spawn(tmp_path):
    """Start the tools of the package; they are ended after the test whatever happens."""
    processes = []

    def spawn_one(module, namespace, **parameters):
        arguments = ["--ros-args", "-r", f"__ns:={namespace}"]
        for name, value in parameters.items():
            arguments += ["-p", f"{name}:={value}"]
        with (tmp_path / f"{module}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", f"fusion_node.{module}", *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(os.environ),
                cwd=tmp_path,
            )
        processes.append(process)
        return process

    yield spawn_one
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_folders_are_played_fused_and_recorded(start, spawn, tmp_path):
    for name, channels in (("visible", 3), ("thermal", 1)):
        (tmp_path / name).mkdir()
        for index in range(FRAMES):
            pixels = picture((160, 128), index, channels)
            assert cv2.imwrite(str(tmp_path / name / f"{index:03d}.png"), pixels)
    node = start()
    out = tmp_path / "out"
    outputs = [str(out / "fused.mp4"), f"bag:{out / 'bag'}", str(out / "fused.jsonl")]
    recorder = spawn(
        "recorder", node.namespace, out=json.dumps(outputs), report=out / "report.html"
    )
    node.wait_diagnostics("node", lambda _level, message, _values: message == "fusing")
    cameras = spawn(
        "camera_publisher",
        node.namespace,
        visible=tmp_path / "visible",
        thermal=tmp_path / "thermal",
        speed=0.2,
    )
    assert cameras.wait(60) == 0, (tmp_path / "camera_publisher.log").read_text()
    counters = node.counters()
    # Images come best effort, only the newest is kept: on a busy machine one may be lost.
    for name in ("visible", "thermal"):
        assert FRAMES - 2 <= counters[f"{name} read"] <= FRAMES
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(60) == 0, (tmp_path / "recorder.log").read_text()
    summary = json.loads((out / "run.json").read_text())
    assert summary["model"] == "m2pn-edge"
    # Per stream as in the status of the input: nothing is lost on the way at this speed.
    drops = {name: sum(causes.values()) for name, causes in summary["drops_by_stream"].items()}
    assert sum(drops.values()) == sum(summary["drops"].values())
    assert counters["fused"] - 1 <= summary["recorded"] <= counters["fused"]
    lines = [json.loads(line) for line in (out / "fused.jsonl").read_text().splitlines()]
    assert len(lines) == summary["recorded"]
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    with av.open(str(out / "fused.mp4")) as video:
        shapes = {frame.to_ndarray().shape[:2] for frame in video.decode(video=0)}
    assert shapes
    assert (out / "report.html").stat().st_size > 1000
    assert (out / "bag" / "metadata.yaml").exists()


@pytest.fixture
def send_result(robot):
    """Publish parts of a result as the node in a namespace does."""
    publishers = {}

    def send(namespace, stamp, *topics, width=None):
        for topic in topics:
            kind, usual = {
                "image": (Image, 16),
                "debug_image": (Image, 48),
                "detections": (Detection2DArray, 0),
            }[topic]
            name = f"{namespace}/fusion/{topic}"
            if name not in publishers:
                publishers[name] = robot.advertise(kind, name, 50)
                wait_for(publishers[name].get_subscription_count, f"a subscriber of {name}")
            message = Detection2DArray()
            if kind is Image:
                pixels = np.full((12, width or usual, 3), 90, np.uint8)
                message = image_message(pixels, "bgr8", stamp, "rgb_optical")
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
            publishers[name].publish(message)

    yield send
    for publisher in publishers.values():
        robot.withdraw(publisher)


COMPLETE = ("image", "debug_image", "detections")


def test_the_recorder_counts_what_it_cannot_record(spawn, send_result, tmp_path):
    """Every stamp that arrived is recorded or counted, also those given up while it runs."""
    lines = tmp_path / "out" / "fused.jsonl"
    recorder = spawn("recorder", "/counted", out=json.dumps([str(lines)]))
    sent = 0

    def send(*topics):
        nonlocal sent
        sent += 1
        send_result("/counted", sent * 10**9, *topics)

    def recorded():
        return lines.exists() and len(lines.read_text().splitlines()) > 0

    # The first messages of a new connection may be lost.
    repeat_until(lambda: send(*COMPLETE), recorded, "a recorded result")
    before = sent
    for _ in range(60):
        send("debug_image", "image")
        time.sleep(0.02)
    send(*COMPLETE)
    wait_for(
        lambda: json.loads(lines.read_text().splitlines()[-1])["stamp_ns"] == sent * 10**9,
        "the last result",
    )
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(60) == 0, (tmp_path / "recorder.log").read_text()
    summary = json.loads((lines.parent / "run.json").read_text())
    assert summary["recorded"] == len(lines.read_text().splitlines())
    assert 60 <= summary["not_recorded"]["incomplete"] <= 60 + before
    assert summary["not_recorded"]["invalid"] == 0


def test_an_unreadable_result_is_counted_and_the_recorder_goes_on(spawn, send_result, tmp_path):
    lines = tmp_path / "fused.jsonl"
    # Of an earlier recording to the same file: replaced.
    (tmp_path / "run.json").write_text(json.dumps({"outputs": [str(lines)]}))
    recorder = spawn("recorder", "/bad", out=json.dumps([str(lines)]))
    stamps = itertools.count(10**9, 10**9)

    def recorded():
        return len(lines.read_text().splitlines()) if lines.exists() else 0

    repeat_until(lambda: send_result("/bad", next(stamps), *COMPLETE), recorded, "a result")
    # The debug image of a result is three pictures wide: an image of a third is none.
    stamp = next(stamps)
    send_result("/bad", stamp, "image", "detections")
    send_result("/bad", stamp, "debug_image", width=49)
    count = recorded()
    repeat_until(
        lambda: send_result("/bad", next(stamps), *COMPLETE),
        lambda: recorded() > count,
        "a result after the bad one",
    )
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(60) == 0, (tmp_path / "recorder.log").read_text()
    summary = json.loads((tmp_path / "run.json").read_text())
    assert summary["not_recorded"]["invalid"] == 1


def test_an_address_makes_no_folder_of_its_name(spawn, send_result, tmp_path):
    """Counters lie beside the first output that is a file."""
    lines = tmp_path / "out" / "fused.jsonl"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"zmq://127.0.0.1:{probe.getsockname()[1]}/fused"
    recorder = spawn("recorder", "/wire", out=json.dumps([address, str(lines)]))
    stamps = itertools.count(10**9, 10**9)
    repeat_until(
        lambda: send_result("/wire", next(stamps), *COMPLETE),
        lambda: lines.exists() and lines.read_text(),
        "a recorded result",
    )
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(60) == 0, (tmp_path / "recorder.log").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"out", "recorder.log"}
    assert {path.name for path in lines.parent.iterdir()} == {"fused.jsonl", "run.json"}


@pytest.mark.parametrize(
    ("module", "parameters", "words"),
    [
        ("camera_publisher", {"bag": "/nowhere", "wait_for_subscriber": False}, "/nowhere"),
        ("recorder", {}, "nothing to write"),
    ],
)
def test_bad_usage_ends_a_tool_with_one_line(spawn, tmp_path, module, parameters, words):
    process = spawn(module, "/alone", **parameters)
    wait_for(lambda: process.poll() is not None, f"the end of {module}")
    log = (tmp_path / f"{module}.log").read_text()
    assert process.returncode == 2, log
    assert words in log
    assert "Traceback" not in log


def test_health_check_succeeds_beside_a_node_that_works(start, spawn):
    node = start()
    checks = (spawn("health_check", node.namespace) for _ in range(15))  # while the node starts
    assert any(check.wait(timeout=120) == 0 for check in checks)


@pytest.mark.parametrize(
    ("levels", "problem"),
    [
        ({"node": 0, "model": 1, "input": 2}, ""),  # cameras that are missing: no fault of its own
        ({"node": 2}, "fusion: node: no weights"),
        ({"node": 0, "model": 2}, "fusion: model: no weights"),
        ({"input": 0}, "no report of a fusion node on /diagnostics within 8 s"),
    ],
)
def test_health_check_judges_node_and_model(levels, problem):
    statuses = [
        DiagnosticStatus(
            level=bytes([level]),
            name=f"fusion: {concern}",
            hardware_id="fusion",
            message="no weights",
        )
        for concern, level in levels.items()
    ]
    assert problem_of([DiagnosticArray(status=statuses)]) == problem
