"""Camera publisher and recorder beside the node: files in, files out, everything over DDS."""

import json
import os
import signal
import subprocess
import sys

import av
import cv2
import pytest
from robot import picture, wait_for

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
    assert counters["visible read"] == counters["thermal read"] == FRAMES
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(60) == 0, (tmp_path / "recorder.log").read_text()
    summary = json.loads((out / "run.json").read_text())
    assert summary["model"] == "m2pn-edge"
    assert counters["fused"] - 1 <= summary["recorded"] <= counters["fused"]
    lines = [json.loads(line) for line in (out / "fused.jsonl").read_text().splitlines()]
    assert len(lines) == summary["recorded"]
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    with av.open(str(out / "fused.mp4")) as video:
        shapes = {frame.to_ndarray().shape[:2] for frame in video.decode(video=0)}
    assert shapes
    assert (out / "report.html").stat().st_size > 1000
    assert (out / "bag" / "metadata.yaml").exists()


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
