"""`fusion run --detector`: what is written, and what goes wrong."""

import json

import av
import numpy as np
import onnx_networks as networks
import pytest

from fusion_core.cli.main import main

SCENE = ["--bag", "synthetic://street?seed=1&registered=1", "--device", "cpu"]


@pytest.fixture
def detector(tmp_path):
    """One car in the left half and one in the right half of a 640 x 480 picture."""
    rows = np.zeros((1, 6, 16), np.float32)
    rows[0, :, 0] = [16, 32, 16, 16, 0.8, 0]
    rows[0, :, 1] = [48, 32, 16, 16, 0, 0.6]
    metadata = {"names": "{0: 'person', 1: 'vehicle'}"}
    return networks.constant(tmp_path / "net.onnx", {"output0": rows}, metadata=metadata)


def run(*arguments):
    return main(["run", *SCENE, "--max-frames", "3", *map(str, arguments)])


def fail(capsys, *arguments):
    code = run(*arguments)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("fusion:")]
    assert len(lines) == 1, lines
    return code, lines[0]


def test_detections_in_the_log_and_the_summary(detector, tmp_path, capsys):
    log = tmp_path / "out" / "fused.jsonl"
    assert run("--detector", detector, "--out", log) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    # 640 x 480 in 64 x 64: scale 0.1, 8 rows above; (8, 24, 16, 16) is (80, 160, 160, 160).
    assert lines[2]["detections"] == [
        {
            "label": "person",
            "score": pytest.approx(0.8),
            "box": pytest.approx([80, 160, 160, 160], abs=1e-3),
            "track_id": 1,
            "temperature": None,
            "predicted": False,
            "heat": None,
        },
        {
            "label": "vehicle",
            "score": pytest.approx(0.6),
            "box": pytest.approx([400, 160, 160, 160], abs=1e-3),
            "track_id": 2,
            "temperature": None,
            "predicted": False,
            "heat": None,
        },
    ]
    assert lines[2]["latency_ms"]["detection"] > 0
    summary = json.loads((tmp_path / "out" / "run.json").read_text())
    assert summary["detector"] == detector
    assert summary["detection"]["detections"] == {"person": 3, "vehicle": 3}
    assert summary["detection"]["objects"] == {"person": 1, "vehicle": 1}
    assert summary["detection"]["failures"] == 0
    assert "p50" in summary["latency_ms"]["detection"]
    assert "3 person (1 tracked), 3 vehicle (1 tracked)" in capsys.readouterr().out


def test_overlay_shows_the_boxes_in_videos(detector, tmp_path):
    plain, marked = tmp_path / "plain.mkv", tmp_path / "marked.mkv"
    assert run("--detector", detector, "--out", plain) == 0
    assert run("--detector", detector, "--out", marked, "--overlay") == 0
    first, second = (read_last(path).astype(int) for path in (plain, marked))
    changed = np.abs(first - second).max(axis=2)
    # The box's left and lower edge and its caption; its inside stays as it is.
    assert changed[170:315, 80].mean() > 40
    assert changed[319, 90:230].mean() > 40
    assert changed[148:158, 84:140].mean() > 40
    assert changed[175:310, 90:230].mean() < 5


def read_last(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][-1]


def test_a_missing_detector_is_a_failure_in_one_line(tmp_path, capsys):
    code, line = fail(capsys, "--detector", tmp_path / "no.onnx", "--out", tmp_path / "x.jsonl")
    assert code == 1
    assert "no.onnx: no such file" in line
    assert not (tmp_path / "x.jsonl").exists()


def test_a_broken_detector_is_a_failure_in_one_line(tmp_path, capsys):
    (tmp_path / "torn.onnx").write_bytes(b"\x08\x07\x12")
    code, line = fail(capsys, "--detector", tmp_path / "torn.onnx", "--out", tmp_path / "x.jsonl")
    assert code == 1
    assert "torn.onnx: ONNX Runtime cannot load it" in line


def test_a_wrong_name_is_wrong_usage(tmp_path, capsys):
    code, line = fail(capsys, "--detector", "yolo", "--out", tmp_path / "x.jsonl")
    assert code == 2
    assert "'yolo': expected 'default', 'pair-nano-aerial', 'none' or the path of a .onnx" in line
