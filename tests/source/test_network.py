"""Network streams: PyAV itself is the server, over the loopback interface."""

import logging
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from fusion_core.errors import SourceError, UsageError
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


class CutPictures(BaseHTTPRequestHandler):
    """An MJPEG camera on the web that stops sending each picture before its end."""

    def do_GET(self):
        whole = cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (48, 64, 3)))[1]
        data = whole.tobytes()[: len(whole) * 9 // 10]
        head = f"--x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=x")
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(head.encode() + data + b"\r\n")
                time.sleep(0.01)

    def log_message(self, *_args):
        pass


def test_a_camera_whose_pictures_are_all_damaged_is_shown_as_players_do(caplog):
    server = ThreadingHTTPServer(("127.0.0.1", 0), CutPictures)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        reader = NetworkReader(f"http://127.0.0.1:{server.server_port}/video", "visible")
        frames = read_frames(reader, 5)
        reader.close()
    finally:
        server.shutdown()
        server.server_close()
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    assert reader.drop_log.by_cause() == {"corrupt": 8}
    assert "every picture is damaged" in caplog.text


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


class RtspServer:
    """Answers one RTSP client (RFC 2326) with a transport stream in RTP inside the connection."""

    def __init__(self, stream):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.requests = []
        threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream):
        with closing(self._listening), self._listening.accept()[0] as connection:
            pending = b""
            while b"PLAY" not in self.requests:
                pending += connection.recv(4096)
                while b"\r\n\r\n" in pending:
                    request, _, pending = pending.partition(b"\r\n\r\n")
                    self.requests.append(request.split(b" ", 1)[0])
                    connection.sendall(self._answer(request.decode()))
            with suppress(OSError):
                self._send(connection, stream)

    def _answer(self, request):
        number = next(line for line in request.splitlines() if line.startswith("CSeq"))
        head = f"RTSP/1.0 200 OK\r\n{number}\r\nSession: 1\r\n"
        if request.startswith("DESCRIBE"):
            text = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\n"
            head += f"Content-Type: application/sdp\r\nContent-Length: {len(text)}\r\n"
            return f"{head}\r\n{text}".encode()
        if request.startswith("SETUP"):
            head += "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        return f"{head}\r\n".encode()

    def _send(self, connection, stream):
        size = 7 * 188
        for number, start in enumerate(range(0, len(stream), size)):
            header = struct.pack(">BBHII", 0x80, 33, number & 0xFFFF, number * 3000, 1)
            packet = header + stream[start : start + size]
            connection.sendall(b"$\0" + struct.pack(">H", len(packet)) + packet)
            time.sleep(0.001)


def test_rtsp_camera_is_read(make_video):
    images = [np.full((48, 64, 3), level, np.uint8) for level in range(40, 200)]
    server = RtspServer(make_video("vi.ts", images).read_bytes())
    reader = NetworkReader(f"rtsp://127.0.0.1:{server.port}/camera", "visible")
    frames = read_frames(reader, 20)
    reader.close()
    assert b"SETUP" in server.requests
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    means = [frame.image.mean() for frame in frames]
    assert means == sorted(means)


def test_recording_on_a_web_server_is_read_once(make_video, pictures):
    """The server is the one of the standard library."""
    path = make_video("vi.mkv", pictures(10))
    handler = partial(SimpleHTTPRequestHandler, directory=str(path.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        reader = NetworkReader(f"http://127.0.0.1:{server.server_port}/vi.mkv", "visible")
        assert len(read_frames(reader, 10)) == 10
        with pytest.raises(SourceError, match="recording ended after 10 frames"):
            reader.read(0.1)
        reader.close()
        server.shutdown()


def test_one_address_for_both_streams_is_refused():
    with pytest.raises(UsageError, match="fused with itself"):
        open_source(visible="udp://127.0.0.1:9", thermal="udp://127.0.0.1:9")


def test_sender_that_is_not_there_is_said_once_and_tried_again(caplog):
    reader = NetworkReader(f"rtsp://robot:secret@127.0.0.1:{free_port()}/stream", "thermal")
    with caplog.at_level(logging.WARNING):
        for _ in range(12):
            assert reader.read(0.1) is None
    reader.close()
    assert len(caplog.records) == 1
    assert "rtsp://robot:***@127.0.0.1" in caplog.text
    assert "secret" not in caplog.text


def test_sender_that_is_silent_is_said(caplog):
    reader = NetworkReader(f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}", "thermal")
    assert reader.read(0.1) is None
    reader.close()
    assert "no connection (no data for 5 s)" in caplog.text


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
