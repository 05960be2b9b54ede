import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from fusion_core.cli.main import main

SIZE = (96, 64)


def write_video(path, count=12, seed=0, size=SIZE, channels=3):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = size[0], size[1], "yuv420p"
        for index in range(count):
            noise = np.random.default_rng(seed + index).integers(
                0, 256, (8, 12, channels), np.uint8
            )
            noise = np.broadcast_to(noise, (8, 12, 3)).copy()
            image = cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return str(path)


def read_video(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture
def videos(tmp_path):
    return (
        write_video(tmp_path / "vi.mp4"),
        write_video(tmp_path / "ir.mp4", seed=100, channels=1),
    )


def fail(capsys, *arguments):
    """Run and return the exit code with the one line on stderr."""
    code = main(["run", *map(str, arguments)])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("fusion:")]
    assert len(lines) == 1, lines
    return code, lines[0]


def test_two_videos_become_a_video_a_log_and_a_summary(videos, tmp_path, capsys):
    out, log = tmp_path / "out" / "fused.mp4", tmp_path / "out" / "fused.jsonl"
    inputs = ["--visible", videos[0], "--thermal", videos[1], "--device", "cpu"]
    assert main(["run", *inputs, "--out", str(out), "--out", str(log)]) == 0
    assert len(read_video(out)) == 12
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(12))
    assert set(lines[0]) == {
        "frame",
        "stamp_ns",
        "skew_ns",
        "alarms",
        "detections",
        "detections_age_ns",
        "prior",
        "registration",
        "recalled",
        "latency_ms",
        "health",
        "dropped",
        "dropped_unlisted",
    }
    summary = json.loads((out.parent / "run.json").read_text())
    assert summary["read"] == summary["used"] == {"visible": 12, "thermal": 12}
    assert summary["drops_by_stream"] == {"visible": {}, "thermal": {}}
    assert (summary["pairs"], summary["fused"], summary["drops"]) == (12, 12, {})
    assert {"p50", "p95", "p99"} == set(summary["latency_ms"]["network"])
    assert "fused    12 of 12 pairs" in capsys.readouterr().out


def test_max_frames_and_picture_folder(videos, tmp_path):
    folder = f"{tmp_path}/pictures/"
    inputs = ["--visible", videos[0], "--thermal", videos[1], "--device", "cpu"]
    assert main(["run", *inputs, "--out", folder, "--max-frames", "3"]) == 0
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 3


def test_a_corrupt_video_keeps_what_was_fused(videos, tmp_path, capsys):
    whole = write_video(tmp_path / "long.mkv", count=60)
    torn = tmp_path / "torn.mkv"
    data = Path(whole).read_bytes()
    torn.write_bytes(data[: len(data) // 2])
    out = tmp_path / "fused.mp4"
    code, line = fail(
        capsys,
        "--visible",
        torn,
        "--thermal",
        write_video(tmp_path / "t.mp4", 60, channels=1),
        "--out",
        out,
    )
    assert code == 1
    assert "torn.mkv" in line
    assert 0 < len(read_video(out)) < 60
    assert json.loads((tmp_path / "run.json").read_text())["error"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--model", "m3pn"], 2, ["m3pn", "m2pn-edge"]),
        (["--visible-topic", "/nowhere"], 2, ["topic", "bag"]),
        (["--max-frames", "0"], 2, ["--max-frames 0"]),
    ],
)
def test_bad_usage_is_one_line(videos, tmp_path, capsys, arguments, code, words):
    inputs = ["--visible", videos[0], "--thermal", videos[1], "--out", tmp_path / "x.mp4"]
    got, line = fail(capsys, *inputs, *arguments)
    assert got == code
    assert all(word in line for word in words), line


def test_a_bad_key_in_the_configuration(videos, tmp_path, capsys):
    config = tmp_path / "config.yaml"
    config.write_text("sync:\n  slak_ms: 3\n")
    inputs = ["--visible", videos[0], "--thermal", videos[1], "--out", tmp_path / "x.mp4"]
    code, line = fail(capsys, *inputs, "--config", config)
    assert code == 2
    assert "sync.slak_ms" in line


def test_an_empty_folder(videos, tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    code, line = fail(
        capsys, "--visible", videos[0], "--thermal", empty, "--out", tmp_path / "x.mp4"
    )
    assert code == 1
    assert "empty" in line


def test_sizes_that_differ_without_a_rig(videos, tmp_path, capsys):
    small = write_video(tmp_path / "small.mp4", size=(64, 48), channels=1)
    code, line = fail(
        capsys, "--visible", videos[0], "--thermal", small, "--out", tmp_path / "x.mp4"
    )
    assert code == 1
    assert "96x64" in line
    assert "64x48" in line
    assert "set 'calibration'" in line


def test_no_output_and_no_input_are_bad_usage(videos, tmp_path, capsys):
    assert fail(capsys, "--visible", videos[0], "--thermal", videos[1])[0] == 2
    assert fail(capsys, "--visible", videos[0], "--out", tmp_path / "x.mp4")[0] == 2
    assert fail(capsys, "--bag", "b", "--visible", "v", "--out", tmp_path / "x.mp4")[0] == 2


def test_an_unknown_flag_exits_with_two(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["run", "--colour", "red"])
    assert caught.value.code == 2


def test_memory_is_saved_and_restored(videos, tmp_path, capsys):
    inputs = ["--visible", videos[0], "--thermal", videos[1], "--out", str(tmp_path / "x.jsonl")]
    bank = tmp_path / "bank.safetensors"
    assert main(["run", *inputs, "--memory", str(bank)]) == 0
    assert main(["run", *inputs, "--memory", str(bank)]) == 0
    bank.write_bytes(bank.read_bytes()[:64])
    code, line = fail(capsys, *inputs, "--memory", bank)
    assert code == 1
    assert "bank.safetensors" in line
