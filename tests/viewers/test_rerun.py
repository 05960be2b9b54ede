"""Rerun, read back by its own reader and through its own server."""

import contextlib
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fusion_core.sink import open_sink

rerun_cli = pytest.importorskip("rerun_cli")
PROGRAM = Path(rerun_cli.__file__).with_name("rerun")
START_NS = 1_772_366_400_123_456_789
DEADLINE_S = 120


@contextlib.contextmanager
def viewer(port, path):
    """Run Rerun's own server, which saves what it receives."""
    command = [PROGRAM, "--bind", "127.0.0.1", "--port", str(port), "--save", path]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def feed_until(sink, results, condition):
    """Write results at a camera's pace until a condition holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, sink.dropped
        sink.write(next(results))
        time.sleep(0.02)


@pytest.fixture
def results(make_fused):
    return (make_fused(number) for number in range(100_000))


def test_a_recording_holds_everything_at_its_own_time(
    tmp_path, make_fused, read_rrd, decode_jpeg, is_red_then_blue
):
    path = tmp_path / "new" / "run.rrd"
    with open_sink(str(path)) as sink:
        assert sink.path == path
        for number in range(3):
            sink.write(
                make_fused(number, detections=() if number == 2 else make_fused().detections)
            )
    stamps = [START_NS + number * 33_333_333 for number in range(3)]
    rows = read_rrd(path)
    for entity in ("camera/visible", "camera/thermal", "camera/fused", "thermal_source"):
        blobs = rows[f"/{entity}"]["EncodedImage:blob"]
        assert [stamp for stamp, _ in blobs] == stamps
    picture = decode_jpeg(rows["/camera/fused"]["EncodedImage:blob"][0][1][0])
    assert is_red_then_blue(picture)

    boxes = rows["/camera/detections"]
    assert boxes["Boxes2D:labels"][0] == (stamps[0], ["person #7 0.88 31.2C"])
    # Centre and half size of x 8, y 4, width 16, height 24.
    assert boxes["Boxes2D:centers"][0][1] == [[16.0, 16.0]]
    assert boxes["Boxes2D:half_sizes"][0][1] == [[8.0, 12.0]]
    assert boxes["Boxes2D:centers"][2] == (stamps[2], [])  # gone with the person

    plots = {
        group: (
            rows[f"/plots/{group}"]["SeriesLines:names"][0][1],
            [values for _, values in rows[f"/plots/{group}"]["Scalars:scalars"]],
        )
        for group in ("latency_ms", "drops", "registration", "prior_visible", "prior_thermal")
    }
    assert plots["latency_ms"] == (["network", "total"], [[12.5, 20.0], [12.5, 21.0], [12.5, 22.0]])
    assert plots["drops"] == (["no_partner"], [[0.0], [1.0], [2.0]])
    assert plots["registration"][0] == ["confidence", "residual_px", "skew_ms"]
    assert plots["registration"][1][0] == [0.625, 1.5, 2.0]
    assert plots["prior_visible"] == (["clean", "smoke"], [[0.25, 0.75]] * 3)
    assert plots["prior_thermal"] == (["clean"], [[1.0]] * 3)
    assert rows["/health"]["TextLog:text"] == [(stamps[0], ["registration_low"])]

    # Column by column; the middle of the first pixel is half a pixel from the picture's corner.
    ((stamp, (matrix,)),) = rows["/camera"]["Pinhole:image_from_camera"]
    assert stamp == stamps[0]
    np.testing.assert_allclose(matrix, (60, 0, 0, 0, 61, 0, 32, 24, 1))
    assert rows["/camera"]["Pinhole:resolution"][0][1] == [[64.0, 48.0]]


def test_a_recording_brings_its_layout_and_passes_reruns_own_check(tmp_path, make_fused):
    chunk = pytest.importorskip("rerun.chunk")
    with open_sink(str(tmp_path / "run.rrd")) as sink:
        sink.write(make_fused())
    subprocess.run(
        [PROGRAM, "rrd", "verify", tmp_path / "run.rrd"], check=True, capture_output=True
    )
    reader = chunk.RrdReader(tmp_path / "run.rrd")
    (blueprint,) = reader.blueprints()
    assert blueprint.application_id == "fusion"
    batches = [part.to_record_batch() for part in reader.stream(store=blueprint)]
    text = "".join(
        str(column.to_pylist())
        for batch in batches
        for column in batch.columns
        if "timestamp" not in str(column.type)
    )
    for shown in ("camera/fused", "camera/detections", "plots/latency_ms", "plots/drops"):
        assert shown in text


def test_series_that_appear_later_keep_the_earlier_ones_in_place(tmp_path, make_fused, read_rrd):
    with open_sink(str(tmp_path / "run.rrd")) as sink:
        sink.write(make_fused(0, drops={"busy": 1}))
        sink.write(make_fused(1, drops={"busy": 2, "corrupt": 5}))
        sink.write(make_fused(2, drops={"corrupt": 6}))
    drops = read_rrd(tmp_path / "run.rrd")["/plots/drops"]
    assert drops["SeriesLines:names"][-1][1] == ["busy", "corrupt"]
    first, second, third = [values for _, values in drops["Scalars:scalars"]]
    assert (first, second) == ([1.0], [2.0, 5.0])
    assert np.isnan(third[0])
    assert third[1] == 6.0


def test_a_full_disk_ends_the_recording_with_a_message(tmp_path, make_fused):
    """In a process of its own, whose files may have no more than 300 kB."""
    program = (
        "import pickle, resource, signal, sys\n"
        "from fusion_core.errors import SinkError\n"
        "from fusion_core.sink import open_sink\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "fused = pickle.load(sys.stdin.buffer)\n"
        "sink = open_sink(sys.argv[1])\n"
        "try:\n"
        "    for _ in range(2000): sink.write(fused)\n"
        "    sink.close()\n"
        "except SinkError as error: print(error)\n"
    )
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    for name in ("run.rrd", "run.mcap"):
        done = subprocess.run(
            [sys.executable, "-c", program, tmp_path / name],
            input=pickle.dumps(make_fused(image=noise)),
            capture_output=True,
            check=True,
            timeout=DEADLINE_S,
        )
        (line,) = done.stdout.decode().splitlines()
        assert f"{name}: cannot be written" in line
        assert "make room" in line


def test_a_viewer_may_come_go_and_come_back(tmp_path, results, free_port, read_rrd):
    with open_sink(f"rerun://127.0.0.1:{free_port}") as sink:
        feed_until(sink, results, lambda: sink.dropped.get("viewer_away", 0) >= 2)
        with viewer(free_port, tmp_path / "first.rrd"):
            feed_until(sink, results, lambda: has_pictures(tmp_path / "first.rrd"))
        before = sink.dropped["viewer_away"]
        feed_until(sink, results, lambda: sink.dropped["viewer_away"] > before + 2)
        with viewer(free_port, tmp_path / "second.rrd"):
            feed_until(sink, results, lambda: has_pictures(tmp_path / "second.rrd"))
    for name in ("first.rrd", "second.rrd"):
        rows = read_rrd(tmp_path / name)
        # Whoever comes late gets the camera and the state of health as well.
        assert {"/camera/fused", "/camera/detections", "/camera", "/health"} <= rows.keys()
        stamps = [stamp for stamp, _ in rows["/camera/fused"]["EncodedImage:blob"]]
        assert all((stamp - START_NS) % 33_333_333 == 0 for stamp in stamps)


def has_pictures(path):
    """Tell whether a recording that is still written is large enough for some results."""
    return path.exists() and path.stat().st_size > 100_000


def test_a_viewer_that_stops_reading_costs_results_but_not_the_stream(
    tmp_path, make_fused, free_port
):
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    large = [make_fused(number, image=noise) for number in range(2)]
    with viewer(free_port, tmp_path / "seen.rrd") as process:
        sink = open_sink(f"rerun://127.0.0.1:{free_port}")
        results = (large[number % 2] for number in range(100_000))
        feed_until(sink, results, lambda: has_pictures(tmp_path / "seen.rrd"))
        process.send_signal(signal.SIGSTOP)
        feed_until(sink, results, lambda: sink.dropped.get("viewer_busy", 0) > 20)
        process.send_signal(signal.SIGCONT)
        size = (tmp_path / "seen.rrd").stat().st_size
        feed_until(sink, results, lambda: (tmp_path / "seen.rrd").stat().st_size > size + 1_000_000)
        sink.close()


@pytest.mark.parametrize("seen_bytes", [0, 3_000_000], ids=["from the start", "in the middle"])
def test_a_process_ends_though_its_viewer_does_not_read(
    tmp_path, make_fused, free_port, seen_bytes
):
    program = (
        "import os, pickle, signal, sys, time\n"
        "from fusion_core.sink import open_sink\n"
        "fused, pid, path, seen_bytes = pickle.load(sys.stdin.buffer)\n"
        "with open_sink(sys.argv[1]) as sink:\n"
        "    while os.path.getsize(path) < seen_bytes:\n"
        "        sink.write(fused)\n"
        "        time.sleep(0.02)\n"
        "    os.kill(pid, signal.SIGSTOP)\n"
        "    busy = sink.dropped.get('viewer_busy', 0)\n"
        "    while sink.dropped.get('viewer_busy', 0) < busy + 30:\n"
        "        sink.write(fused)\n"
        "        time.sleep(0.02)\n"
        "print('ended')\n"
    )
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    path = tmp_path / "seen.rrd"
    with viewer(free_port, path) as process:
        with open_sink(f"rerun://127.0.0.1:{free_port}") as sink:
            results = (make_fused(number) for number in range(100_000))
            feed_until(sink, results, lambda: has_pictures(path))
        done = subprocess.run(
            [sys.executable, "-c", program, f"rerun://127.0.0.1:{free_port}"],
            input=pickle.dumps((make_fused(image=noise), process.pid, path, seen_bytes)),
            capture_output=True,
            check=True,
            timeout=DEADLINE_S,
        )
    assert done.stdout == b"ended\n"
