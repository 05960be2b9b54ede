"""Foxglove: the file read back, the server watched by a plain WebSocket client."""

import base64
import json
import re
import struct
import time
from contextlib import ExitStack, closing
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from fusion_core.errors import SinkError
from fusion_core.sink import open_sink
from fusion_core.source.mcap_file import McapFile

pytest.importorskip("foxglove")
client = pytest.importorskip("websockets.sync.client")
START_NS = 1_772_366_400_123_456_789
DEADLINE_S = 120
TOPICS = {
    "/fusion/visible": "foxglove.CompressedImage",
    "/fusion/thermal": "foxglove.CompressedImage",
    "/fusion/thermal_source": "foxglove.CompressedImage",
    "/fusion/fused": "foxglove.CompressedImage",
    "/fusion/detections": "foxglove.ImageAnnotations",
    "/fusion/camera": "foxglove.CameraCalibration",
    "/fusion/health": "foxglove.Log",
    "/fusion/latency_ms": "fusion.latency_ms",
    "/fusion/drops": "fusion.drops",
    "/fusion/registration": "fusion.registration",
    "/fusion/quality": "fusion.quality",
    "/fusion/prior_visible": "fusion.prior_visible",
    "/fusion/prior_thermal": "fusion.prior_thermal",
}


@pytest.fixture
def read_mcap(decode_message):
    """Return a reader: topic -> list of time and message."""

    def read(path):
        with closing(McapFile(path)) as file:
            assert file.finished
            channels = file.channels
            found = {}
            for number, time_ns, data in file.messages(list(channels)):
                channel = channels[number]
                message = decode_message(
                    channel.encoding, channel.type_name, channel.definition, data
                )
                found.setdefault(channel.topic, []).append((time_ns, message))
            assert {c.topic: c.type_name for c in channels.values()} == TOPICS
            return found

    return read


def test_a_recording_holds_everything_at_its_own_time(
    tmp_path, make_fused, read_mcap, decode_jpeg, is_red_then_blue
):
    path = tmp_path / "new" / "run.mcap"
    with open_sink(str(path)) as sink:
        assert sink.path == path
        for number in range(3):
            sink.write(
                make_fused(number, detections=() if number == 2 else make_fused().detections)
            )
    stamps = [START_NS + number * 33_333_333 for number in range(3)]
    found = read_mcap(path)
    for topic in TOPICS:
        assert [time_ns for time_ns, _ in found[topic]] == stamps, topic

    picture = found["/fusion/fused"][1][1]
    assert (picture.timestamp.seconds, picture.timestamp.nanos) == divmod(stamps[1], 10**9)
    assert (picture.frame_id, picture.format) == ("rgb_optical", "jpeg")
    pixels = decode_jpeg(picture.data)
    assert is_red_then_blue(pixels)
    assert found["/fusion/thermal_source"][0][1].frame_id == "thermal_optical"

    shown = found["/fusion/detections"][0][1]
    (box,), (text,) = shown.points, shown.texts
    assert [(p.x, p.y) for p in box.points] == [(8, 4), (24, 4), (24, 28), (8, 28)]
    assert {fact.key: fact.value for fact in box.metadata} == {
        "label": "person",
        "score": "0.8750",
        "track_id": "7",
        "temperature": "31.25",
    }
    assert text.text == "person #7 0.88 31.2C"
    assert not found["/fusion/detections"][2][1].points

    camera = found["/fusion/camera"][0][1]
    assert (camera.width, camera.height, camera.distortion_model) == (64, 48, "plumb_bob")
    assert list(camera.K) == [60, 0, 31.5, 0, 61, 23.5, 0, 0, 1]
    assert list(camera.D) == [0.1, -0.2, 0, 0, 0]
    assert list(camera.P) == [60, 0, 31.5, 0, 0, 61, 23.5, 0, 0, 0, 1, 0]

    plots = {
        "latency_ms": {"network": 12.5, "total": 21.0},
        "drops": {"no_partner": 1.0},
        "registration": {"confidence": 0.625, "residual_px": 1.5, "skew_ms": 2.0},
        "quality": {"fused": 0.75, "scene": 0.5},
        "prior_visible": {"clean": 0.25, "smoke": 0.75},
        "prior_thermal": {"clean": 1.0},
    }
    for group, values in plots.items():
        message = found[f"/fusion/{group}"][1][1]
        time_of = message.pop("timestamp")
        assert (time_of["sec"], time_of["nsec"]) == divmod(stamps[1], 10**9)
        assert message == values
    assert found["/fusion/health"][0][1].message == "registration_low"


def test_a_recording_carries_its_layout(tmp_path, make_fused):
    with open_sink(str(tmp_path / "run.mcap")) as sink:
        sink.write(make_fused())
    layout = (files("fusion_core.sink.viewers") / "foxglove_layout.json").read_bytes()
    assert layout in (tmp_path / "run.mcap").read_bytes()


def test_the_layout_shows_topics_that_are_there():
    layout = json.loads((files("fusion_core.sink.viewers") / "foxglove_layout.json").read_text())
    assert set(re.findall(r"/fusion/\w+", json.dumps(layout))) == set(TOPICS)
    series = [path for panel in layout["configById"].values() for path in panel.get("paths", ())]
    for path in series:
        # The stream's own time, whatever the clock of the viewer's machine says.
        topic = path["value"].partition(".")[0]
        assert path["timestampPath"] == f"{topic}.timestamp"
        assert path["timestampMethod"] == "customField"
    arranged = set(re.findall(r'"(\w+!\w+)"', json.dumps(layout["layout"])))
    assert arranged == set(layout["configById"])


def test_a_killed_process_leaves_what_it_wrote_before(tmp_path, make_fused):
    sink = open_sink(str(tmp_path / "run.mcap"))
    number, deadline = 0, time.monotonic() + DEADLINE_S
    while (tmp_path / "run.mcap").stat().st_size < 20_000:
        assert time.monotonic() < deadline
        sink.write(make_fused(number))
        number += 1
        time.sleep(0.02)
    torn = tmp_path / "torn.mcap"
    torn.write_bytes((tmp_path / "run.mcap").read_bytes())
    sink.close()
    with closing(McapFile(torn)) as file:
        assert not file.finished
        fused = next(n for n, c in file.channels.items() if c.topic == "/fusion/fused")
        assert sum(1 for _ in file.messages([fused])) > 5


class Viewer:
    """A client of the server's protocol: https://github.com/foxglove/ws-protocol."""

    def __init__(self, port):
        self.stack = ExitStack()
        self.socket = self.stack.enter_context(
            client.connect(
                f"ws://127.0.0.1:{port}", subprotocols=["foxglove.sdk.v1"], max_size=None
            )
        )
        self.info = json.loads(self.socket.recv(DEADLINE_S))
        self.channels = {}
        while len(self.channels) < len(TOPICS):
            message = json.loads(self.socket.recv(DEADLINE_S))
            if message["op"] == "advertise":
                self.channels |= {c["id"]: c for c in message["channels"]}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def subscribe(self, *topics):
        wanted = [
            {"id": number, "channelId": number}
            for number, channel in self.channels.items()
            if channel["topic"] in topics
        ]
        self.socket.send(json.dumps({"op": "subscribe", "subscriptions": wanted}))

    def receive(self):
        """Return topic, time and content of the next message; topic None for the server's time."""
        while True:
            data = self.socket.recv(DEADLINE_S)
            if isinstance(data, str):
                continue
            if data[0] == 2:
                return None, struct.unpack_from("<Q", data, 1)[0], b""
            if data[0] == 1:
                number, time_ns = struct.unpack_from("<IQ", data, 1)
                return self.channels[number]["topic"], time_ns, data[13:]

    def definition(self, topic):
        (channel,) = (c for c in self.channels.values() if c["topic"] == topic)
        schema = channel["schema"]
        if channel["encoding"] == "protobuf":
            schema = base64.b64decode(schema)
        return channel["encoding"], channel["schemaName"], schema


@pytest.fixture
def server(free_port):
    with open_sink(f"foxglove://127.0.0.1:{free_port}") as sink:
        yield sink, free_port


def wait_for(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_viewer_gets_pictures_and_boxes_at_the_streams_time(
    server, make_fused, decode_message, decode_jpeg, is_red_then_blue
):
    sink, port = server
    with Viewer(port) as viewer:
        assert {c["topic"]: c["schemaName"] for c in viewer.channels.values()} == TOPICS
        assert "time" in viewer.info["capabilities"]
        shown = ("/fusion/fused", "/fusion/detections", "/fusion/latency_ms")
        viewer.subscribe(*shown)
        wait_for(lambda: sink.watched)
        got = []
        while {topic for topic, _, _ in got} != {None, *shown}:
            sink.write(make_fused(4))
            got.append(viewer.receive())
    stamp = START_NS + 4 * 33_333_333
    assert {time_ns for _, time_ns, _ in got} == {stamp}
    messages = {
        topic: decode_message(*viewer.definition(topic), data) for topic, _, data in got if topic
    }
    pixels = decode_jpeg(messages["/fusion/fused"].data)
    assert is_red_then_blue(pixels)
    assert messages["/fusion/detections"].texts[0].text == "person #7 0.88 31.2C"
    assert messages["/fusion/latency_ms"] == {
        "timestamp": dict(zip(("sec", "nsec"), divmod(stamp, 10**9), strict=True)),
        "network": 12.5,
        "total": 24.0,
    }


def test_viewers_come_and_go_and_the_stream_goes_on(server, make_fused):
    sink, port = server
    assert not sink.watched
    sink.write(make_fused(0))
    wait_for(lambda: sink.dropped == {"viewer_away": 1})
    for number in (1, 2):
        with Viewer(port) as first, Viewer(port) as second:
            first.subscribe("/fusion/drops")
            second.subscribe("/fusion/quality")
            wait_for(lambda: sink.watched)
            for viewer in (first, second):
                # The other's subscription may come a little later.
                topic = None
                while topic is None:
                    sink.write(make_fused(number))
                    topic, time_ns, _ = viewer.receive()
                assert time_ns == START_NS + number * 33_333_333
        wait_for(lambda: not sink.watched)
    before = sink.dropped["viewer_away"]
    sink.write(make_fused(3))
    wait_for(lambda: sink.dropped["viewer_away"] == before + 1)


def test_a_viewer_that_stops_reading_gets_the_newest_when_it_reads_again(server, make_fused):
    sink, port = server
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    last = 100
    with Viewer(port) as viewer:
        viewer.subscribe(*TOPICS)
        wait_for(lambda: sink.watched)
        for number in range(last + 1):
            sink.write(make_fused(number, image=noise))
            time.sleep(0.005)
        newest, count = 0, 0
        while newest < START_NS + last * 33_333_333:
            topic, newest, _ = viewer.receive()
            count += topic == "/fusion/fused"
    assert count < last


def test_a_result_that_cannot_be_shown_is_counted_and_the_next_one_is_shown(
    server, make_fused, caplog
):
    """A camera whose clock went before 1970 must not end a live run."""
    sink, port = server
    with Viewer(port) as viewer:
        viewer.subscribe("/fusion/drops")
        wait_for(lambda: sink.watched)
        for _ in range(2):
            before = sink.dropped.get("viewer_failed", 0)
            sink.write(make_fused(0, stamp_ns=-1))
            wait_for(lambda before=before: sink.dropped.get("viewer_failed", 0) == before + 1)
        # The server's own time comes before or after the message.
        topic = None
        while topic is None:
            sink.write(make_fused(1))
            topic, time_ns, _ = viewer.receive()
    assert (topic, time_ns) == ("/fusion/drops", START_NS + 33_333_333)
    assert len([line for line in caplog.messages if "frame 0 not shown" in line]) == 1


def test_a_taken_port_is_named(server):
    _, port = server
    with pytest.raises(SinkError, match="free port"):
        open_sink(f"foxglove://127.0.0.1:{port}")


def test_the_server_is_on_loopback_only(server):
    _, port = server
    table = Path("/proc/net/tcp").read_text().splitlines()
    listening = [line.split()[1] for line in table if line.split()[3] == "0A"]
    assert [place for place in listening if place.endswith(f":{port:04X}")] == [
        f"0100007F:{port:04X}"
    ]
