"""Network streams: PyAV itself is the server, over the loopback interface."""

import logging
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress

import numpy as np
import pytest

from fusion_core.errors import SourceError
from fusion_core.source import open_source
from fusion_core.source.network import ArrivalClock, NetworkReader

SECOND = 1_000_000_000
LIMIT_S = 30.0


def free_port(kind=socket.SOCK_STREAM):
    with closing(socket.socket(socket.AF_INET, kind)) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


_SEND = """
import sys, time
import av
import numpy as np
url, level = sys.argv[1], int(sys.argv[2])
picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8))
options = {"tune": "zerolatency", "g": "5"}
with av.open(url, "w", format="mpegts", options={"flush_packets": "1"}) as container:
    stream = container.add_stream("libx264", rate=30, options=options)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    while True:
        container.mux(stream.encode(picture))
        time.sleep(1 / 60)
"""


class Server:
    """A process that sends one picture again and again as MPEG transport stream."""

    def __init__(self, url, level):
        command = [sys.executable, "-c", _SEND, url, str(level)]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def stop(self):
        self._process.kill()
        self._process.wait()


def read_frames(reader, count):
    """Return the next frames of a reader."""
    frames = []
    end = time.monotonic() + LIMIT_S
    while len(frames) < count and time.monotonic() < end:
        frame = reader.read(0.05)
        if frame is not None:
            frames.append(frame)
    assert len(frames) == count, f"only {len(frames)} of {count} frames came"
    return frames


def test_stream_over_tcp_is_read_and_again_after_it_was_gone(caplog):
    port = free_port()
    before = time.time_ns()
    reader = NetworkReader(f"tcp://127.0.0.1:{port}", "visible")
    server = Server(f"tcp://127.0.0.1:{port}?listen=1", 60)
    first = read_frames(reader, 3)
    server.stop()
    server = Server(f"tcp://127.0.0.1:{port}?listen=1", 200)
    second = []
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end and (not second or second[-1].image.mean() < 150):
        second += read_frames(reader, 1)
    reader.close()
    server.stop()
    assert {frame.encoding for frame in first} == {"rgb8"}
    assert np.abs(first[0].image.astype(int) - 60).max() <= 6
    assert np.abs(second[-1].image.astype(int) - 200).max() <= 6
    frames = first + second
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
    stamps = [frame.stamp_ns for frame in frames]
    assert stamps == sorted(stamps)
    assert before <= stamps[0] <= stamps[-1] <= time.time_ns()
    assert "no connection" in caplog.text
    assert "connected again" in caplog.text


def test_two_udp_streams_are_live_inputs():
    ports = [free_port(socket.SOCK_DGRAM) for _ in range(2)]
    servers = [Server(f"udp://127.0.0.1:{port}?pkt_size=1316", 100) for port in ports]
    try:
        source = open_source(
            visible=f"udp://127.0.0.1:{ports[0]}", thermal=f"udp://127.0.0.1:{ports[1]}"
        )
        assert source.live
        seen = {}
        with source:
            for frame in source.frames():
                seen[frame.modality] = frame.encoding
                if len(seen) == 2:
                    break
        assert seen == {"visible": "rgb8", "thermal": "mono8"}
    finally:
        for server in servers:
            server.stop()


def test_sender_that_is_not_there_is_said_once_and_tried_again(caplog):
    reader = NetworkReader(f"rtsp://robot:secret@127.0.0.1:{free_port()}/stream", "thermal")
    with caplog.at_level(logging.WARNING):
        for _ in range(12):
            assert reader.read(0.1) is None
    reader.close()
    assert len(caplog.records) == 1
    assert "rtsp://robot:***@127.0.0.1" in caplog.text
    assert "secret" not in caplog.text


def test_protocol_that_is_not_built_in_is_an_error():
    reader = NetworkReader("pigeon://127.0.0.1:1", "visible")
    with pytest.raises(SourceError, match="has no pigeon"):
        reader.read(0.1)


def test_what_the_far_side_sends_cannot_make_it_read_files(make_video, pictures):
    """A playlist served over the network names a local file."""
    clip = make_video("clip.ts", pictures(5))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{clip}\n#EXT-X-ENDLIST\n"
    port = free_port()
    listening = socket.create_server(("127.0.0.1", port))

    def answer():
        with closing(listening), listening.accept()[0] as connection:
            connection.recv(4096)
            head = "HTTP/1.0 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n"
            connection.sendall((head + playlist).encode())

    threading.Thread(target=answer, daemon=True).start()
    reader = NetworkReader(f"http://127.0.0.1:{port}/live.m3u8", "visible")
    with closing(reader), suppress(SourceError):
        assert [reader.read(0.1) for _ in range(3)] == [None] * 3


def test_stamps_keep_the_senders_distances_and_never_lie_in_the_future():
    rng = np.random.default_rng(0)
    clock = ArrivalClock()
    sent = [index * SECOND // 30 for index in range(300)]
    delay = rng.exponential(0.03, 300)
    arrivals = [
        5000 * SECOND + at + round(late * SECOND) for at, late in zip(sent, delay, strict=True)
    ]
    stamps = [clock.stamp(arrival, at) for arrival, at in zip(arrivals, sent, strict=True)]
    assert all(stamp <= arrival for stamp, arrival in zip(stamps, arrivals, strict=True))
    # Arrivals scatter by 30 ms; after the first pictures the stamps do not.
    assert np.std(np.diff(stamps[100:])) < 0.1 * np.std(np.diff(arrivals[100:]))


def test_stamps_follow_a_sender_that_starts_again():
    clock = ArrivalClock()
    clock.stamp(100 * SECOND, 50 * SECOND)
    assert clock.stamp(101 * SECOND, 0) == 101 * SECOND
    assert clock.stamp(102 * SECOND, None) == 102 * SECOND
