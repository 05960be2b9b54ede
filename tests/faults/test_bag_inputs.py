"""Bags as the field sends them: each kind of fault, one test. Bags are made by rosbags itself."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from bag_maker import START, BagMaker, rgb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from video_messages import encode, scenes

from fusion_core.cli.main import main
from fusion_core.config import Config
from fusion_core.errors import FusionError, SourceError
from fusion_core.pipeline import Pipeline, pairing_problem
from fusion_core.sink.bag import BagRecorder
from fusion_core.source import open_source
from fusion_core.source.mcap_file import McapFile
from fusion_core.types import Frame

STEP = 100_000_000
SECOND = 1_000_000_000


def counts(seed=0):
    return np.random.default_rng(seed).integers(0, 65536, (48, 64)).astype(np.uint16)


def write(path, *, kind="mcap", count=20, clock_ns=0, stamp=None, spoil=()):
    """Write a bag at 10 Hz whose thermal clock is ahead; ``stamp`` replaces thermal stamps."""
    maker = BagMaker(path, kind)
    for index in range(count):
        now = START + index * STEP
        maker.image("/rgb/image_raw", now, rgb(index), "rgb8")
        if index in spoil:
            maker.raw("/thermal/image_raw", "sensor_msgs/msg/Image", b"\x00\x01\x00\x00junk", now)
            continue
        given_ns = now + clock_ns if stamp is None else stamp
        maker.image(
            "/thermal/image_raw", given_ns, counts(index), "mono16", delay_ns=now - given_ns
        )
    return maker.close()


def run(path, **sync):
    """Return the results of a bag, and the pipeline's last status."""
    config = Config.from_dict({"prior": "none", "detector": "none", "sync": sync}, "test")
    with open_source(path) as source, Pipeline(config) as pipeline:
        results = list(pipeline.stream(source))
        return results, pipeline.status()


@pytest.mark.parametrize("kind", ["mcap", "sqlite3", "ros1"])
def test_one_bad_message_is_counted_and_passed_over(tmp_path, kind):
    path = write(tmp_path / "bag", kind=kind, spoil={0, 7, 8})
    with open_source(path) as source:
        frames = [frame for frame in source.frames() if frame.modality == "thermal"]
    assert source.drop_log.by_stream()["thermal"] == {"corrupt": 3}
    kept = [index for index in range(20) if index not in {0, 7, 8}]
    assert [frame.stamp_ns for frame in frames] == [START + index * STEP for index in kept]


@pytest.mark.parametrize("clock_s", [37.0, -37.0, 3.0, -1_699_990_000.0])
def test_clocks_that_differ_are_said_and_paired_on_request(tmp_path, caplog, clock_s):
    path = write(tmp_path / "bag", count=12, clock_ns=round(clock_s * SECOND))
    results, status = run(path)
    assert status.one_sided["visible_only"] == len(results) == 12
    assert f"the clocks differ by {abs(clock_s):.1f} s" in caplog.text
    assert f"the clocks differ by {abs(clock_s):.1f} s" in pairing_problem(status)
    assert "clocks_differ" in results[-1].health
    for offset in (-clock_s * 1000, "auto"):
        results, status = run(path, thermal_offset_ms=offset)
        assert sum(status.one_sided.values()) == 0
        assert len(results) == 12
        assert max(abs(result.pair.skew_ns) for result in results) <= 100_000
        assert pairing_problem(status) == ""


def test_a_clock_that_is_off_by_seconds_is_said_where_wrong_pairs_form(tmp_path, caplog):
    path = write(tmp_path / "bag", count=40, clock_ns=17 * SECOND // 10)
    results, _ = run(path)
    assert "the clocks differ by 1.7 s" in caplog.text
    assert "clocks_differ" in results[-1].health


def test_a_run_with_one_side_only_warns_on_screen_and_in_its_summary(tmp_path, caplog, capsys):
    path = write(tmp_path / "bag", clock_ns=37 * SECOND)
    out = tmp_path / "out.jsonl"
    options = ["--detector", "none", "--prior", "none", "--out", str(out)]
    assert main(["run", "--bag", str(path), *options]) == 0
    summary = json.loads((tmp_path / "run.json").read_text())
    assert summary["one_sided"] == {"visible_only": 20, "thermal_only": 0}
    assert summary["clocks"]["difference_s"] == 37.0
    assert any("differ by 37.0 s" in line for line in summary["warnings"])
    assert any("0 of 20 results show both" in line for line in summary["warnings"])
    assert "0 of 20 results show both" in caplog.text
    assert "20 visible_only" in capsys.readouterr().out


@pytest.mark.parametrize("stamp", [0, 5 * SECOND])
def test_unset_and_constant_stamps_fall_back_to_reception(tmp_path, caplog, stamp):
    results, status = run(write(tmp_path / "bag", stamp=stamp))
    assert len(results) == 20
    assert sum(status.one_sided.values()) <= 3
    assert sum("time of reception" in record.message for record in caplog.records) == 1


def test_stamps_beyond_31_bits_and_below_zero_do_not_end_a_bag(tmp_path):
    maker = BagMaker(tmp_path / "bag", "mcap")
    for index, seconds in enumerate([-5, 2**31 - 1, -(2**31), 1_700_000_000, 1_700_000_001]):
        for topic, image, encoding in (("/rgb", rgb(), "rgb8"), ("/ir", counts(), "mono16")):
            maker.image(topic, seconds * SECOND, image, encoding, delay_ns=START - seconds * SECOND)
        assert index >= 0
    results, status = run(maker.close())
    assert len(results) >= 1
    assert status.read == {"visible": 5, "thermal": 5}


def foreign(path, *, encoding=b"json", profile=b""):
    """Write an MCAP file by hand: a foreign channel before the images of another file."""
    source = write(path / "images", count=8)
    (file,) = source.glob("*.mcap")
    original = McapFile(file)

    def text(value):
        return len(value).to_bytes(4, "little") + value

    def record(kind, data):
        return bytes([kind]) + len(data).to_bytes(8, "little") + data

    def number(value, size):
        return value.to_bytes(size, "little")

    parts = [b"\x89MCAP0\r\n", record(1, text(profile) + text(b"test"))]
    parts += [
        record(3, number(90, 2) + text(b"status") + text(b"jsonschema") + text(b"{}")),
        record(4, number(90, 2) * 2 + text(b"/status") + text(encoding) + number(0, 4)),
        record(5, number(90, 2) + number(0, 4) + number(START, 8) * 2 + b"{}"),
    ]
    for name, channel in original.channels.items():
        schema = text(channel.type_name.encode()) + text(channel.schema_encoding.encode())
        parts.append(record(3, number(name, 2) + schema + text(channel.definition)))
        head = number(name, 2) * 2 + text(channel.topic.encode()) + text(channel.encoding.encode())
        parts.append(record(4, head + number(0, 4)))
    for name, log_ns, data in original.messages(original.channels):
        parts.append(record(5, number(name, 2) + number(0, 4) + number(log_ns, 8) * 2 + data))
    parts += [record(15, bytes(4)), record(2, bytes(20)), b"\x89MCAP0\r\n"]
    target = path / "foreign.mcap"
    target.write_bytes(b"".join(parts))
    return target


@pytest.mark.parametrize("encoding", [b"json", b"protobuf", b"flatbuffer"])
@pytest.mark.parametrize("profile", [b"", b"ros2", b"px4"])
def test_foreign_channels_are_passed_over(tmp_path, encoding, profile):
    with open_source(foreign(tmp_path, encoding=encoding, profile=profile)) as source:
        assert len(list(source.frames())) == 16
    assert source.drop_log.by_cause() == {}


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("ffmpeg_image_transport_msgs/msg/FFMPEGPacket", "ffmpeg"),
        ("foxglove_msgs/msg/CompressedVideo", "foxglove"),
    ],
)
def test_video_topics_are_decoded(tmp_path, kind, fields):
    from rosbags.typesys import get_types_from_msg

    from fusion_core.transport.message_definitions import VIDEO_MESSAGES

    maker = BagMaker(tmp_path / "bag", "mcap")
    maker.store.register(get_types_from_msg(VIDEO_MESSAGES[kind], kind))
    make = maker.store.types[kind]
    pictures = scenes(10)
    for index, raw in encode(pictures):
        now = START + index * STEP
        data = np.frombuffer(raw, np.uint8)
        header = maker.header(now, "camera")
        message = (
            make(header, 96, 64, "libx264", index, 0, False, data)
            if fields == "ffmpeg"
            else make(header.stamp, "camera", data, "h264")
        )
        maker.write(f"/camera/image_raw/{fields}", kind, message, now)
        maker.image("/thermal/image_raw", now, counts(index), "mono16")
    with open_source(maker.close()) as source:
        frames = [frame for frame in source.frames() if frame.modality == "visible"]
    assert [frame.stamp_ns for frame in frames] == [START + n * STEP for n in range(10)]
    for frame, picture in zip(frames, pictures, strict=True):
        assert np.abs(frame.image.astype(int) - picture).mean() < 6


def test_theora_is_refused_by_name(tmp_path):
    from rosbags.typesys import get_types_from_msg

    kind = "theora_image_transport/msg/Packet"
    maker = BagMaker(tmp_path / "bag", "mcap")
    maker.store.register(get_types_from_msg("std_msgs/Header header\nuint8[] data\n", kind))
    message = maker.store.types[kind](maker.header(START, ""), np.zeros(9, np.uint8))
    maker.write("/rgb/image_raw/theora", kind, message, START)
    maker.image("/thermal/image_raw", START, counts(), "mono16")
    with pytest.raises(SourceError, match="/rgb/image_raw/theora: theora is not read"):
        open_source(maker.close())


_KILLED = """
import sys, time
import numpy as np
from pathlib import Path
from fusion_core.sink.bag import BagRecorder
from fusion_core.types import Frame
recorder = BagRecorder(Path(sys.argv[1]))
for index in range(10_000):
    stamp = 1_700_000_000_000_000_000 + index * 100_000_000
    recorder.write_frame(Frame(stamp, "visible", np.zeros((8, 8, 3), np.uint8), "rgb8"))
    recorder.write_frame(Frame(stamp, "thermal", np.zeros((8, 8), np.uint16), "mono16"))
    print(index, flush=True)
    time.sleep(0.02)
"""


def test_a_bag_whose_writer_was_killed_opens_again(tmp_path, caplog):
    path = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", _KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    written = 0
    start = None
    for line in process.stdout:
        written = int(line)
        start = start or time.monotonic()
        if time.monotonic() - start > 3:
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with open_source(path) as source:
        frames = list(source.frames())
    assert "cut off" in caplog.text
    # A second is stored at a time: of three at least the first two thirds are there.
    assert len(frames) > written
    assert frames[-1].stamp_ns > START


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    (file,) = write(tmp_path_factory.mktemp("whole") / "bag", count=6).glob("*.mcap")
    return file.read_bytes()


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(
    cut=st.floats(0, 1),
    holes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=40)), max_size=6),
)
def test_any_damage_gives_frames_or_one_line(whole, tmp_path_factory, cut, holes):
    data = bytearray(whole[: int(cut * len(whole))] if cut < 0.5 else whole)
    for place, content in holes:
        at = int(place * len(data))
        data[at : at + len(content)] = content[: len(data) - at]
    path = tmp_path_factory.mktemp("damaged") / "bag.mcap"
    path.write_bytes(data)
    # Errors of other kinds end the test; the project's own are one line.
    message = ""
    try:
        with open_source(path) as source:
            list(source.frames())
    except FusionError as error:
        message = str(error)
    assert "\n" not in message


def test_what_this_project_writes_it_reads(tmp_path):
    with BagRecorder(tmp_path / "bag") as recorder:
        for index in range(3):
            now = START + index * STEP
            recorder.write_frame(Frame(now, "visible", rgb(index), "rgb8"))
            recorder.write_frame(Frame(now, "thermal", counts(index), "mono16"))
    with open_source(tmp_path / "bag") as source:
        assert len(list(source.frames())) == 6
