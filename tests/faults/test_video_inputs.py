"""Faults of videos and network streams: one case per kind."""

import os
import struct

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from fusion_core.errors import FusionError, SourceError, UsageError
from fusion_core.source import open_source
from fusion_core.source.live import LiveSource
from fusion_core.source.network import NetworkReader
from fusion_core.source.recorded import RecordedSource

_FRAMES = 12


def write_video(path, codec="mjpeg", pixel_format="yuvj420p", options=None):
    """Write a dozen rough pictures, 30 per second."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
        for _ in range(_FRAMES):
            image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode(None))
    return path


def read_all(path):
    """Return how many frames a video gives and the text of its error, empty without one."""
    count = 0
    try:
        with open_source(visible=path) as source:
            for _ in source.frames():
                count += 1
    except FusionError as error:
        return count, str(error)
    return count, ""


@pytest.fixture(scope="module")
def sound_videos(tmp_path_factory):
    """Return the bytes of small whole videos by file name."""
    folder = tmp_path_factory.mktemp("videos")
    kinds = [
        ("a.avi", "mjpeg", "yuvj420p"),
        ("b.mkv", "ffv1", "yuv420p"),
        ("c.mp4", "libx264", "yuv420p"),
        ("d.ts", "libx264", "yuv420p"),
        ("e.mov", "png", "rgb24"),
    ]
    return {
        name: write_video(folder / name, codec, pixel_format).read_bytes()
        for name, codec, pixel_format in kinds
    }


@seed(15)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_mutated_videos_give_frames_and_at_most_one_line(sound_videos, tmp_path, data):
    name = data.draw(st.sampled_from(sorted(sound_videos)))
    content = bytearray(sound_videos[name])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        patch = data.draw(st.binary(min_size=1, max_size=40))
        content[at : at + len(patch)] = patch
    path = tmp_path / name
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    count, message = read_all(path)
    assert "\n" not in message
    assert not message or str(path) in message
    assert count <= 4 * _FRAMES


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_refused_at_once(tmp_path, make):
    path = tmp_path / "vi.mp4"
    make(path)
    with pytest.raises(UsageError, match=r"vi\.mp4: is a pipe, socket or device"):
        open_source(visible=path)


@pytest.mark.parametrize(
    "name", ["concat:{0}|{0}", "file:{0}", "subfile,,start,0,end,9,,:{0}", "pipe:0", "data:x.mp4"]
)
def test_protocol_prefixes_are_file_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "vi.avi")
    given = name.format("vi.avi")
    with pytest.raises(UsageError, match="does not exist"):
        open_source(visible=given)
    (tmp_path / "vi.avi").rename(tmp_path / given)
    with open_source(visible=given) as source:
        assert len(list(source.frames())) == _FRAMES


@pytest.mark.parametrize("head", ["ffconcat version 1.0\nfile {}\n", "#EXTM3U\n#EXTINF:1,\n{}\n"])
def test_lists_of_other_addresses_are_not_followed(tmp_path, head):
    path = tmp_path / "list.mp4"
    path.write_text(head.format("http://127.0.0.1:9/a.ts"))
    with pytest.raises(SourceError, match=r"list\.mp4") as caught:
        list(open_source(visible=path).frames())
    assert "\n" not in str(caught.value)


def test_unknown_codec_is_named(tmp_path):
    path = write_video(tmp_path / "vi.avi")
    data = path.read_bytes()
    assert data.count(b"MJPG") >= 2  # in the stream header and in its format
    path.write_bytes(data.replace(b"MJPG", b"Zz9y"))
    with pytest.raises(SourceError, match=r"vi\.avi: its video codec is unknown"):
        open_source(visible=path)


def test_metadata_that_is_not_utf8_is_passed_over(tmp_path):
    path = tmp_path / "vi.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "TITLETITLE"
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
        image = np.zeros((48, 64), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="gray")))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    assert b"TITLETITLE" in data
    path.write_bytes(data.replace(b"TITLETITLE", b"\xff\xfe\x80TITLE\xc3\x28"))
    with open_source(visible=path) as source:
        assert len(list(source.frames())) == 1


def test_name_that_is_not_utf8_is_read_or_named(tmp_path):
    path = write_video(tmp_path / "vi.avi").rename(tmp_path / os.fsdecode(b"v\xff.avi"))
    count, message = read_all(path)
    assert count == _FRAMES or "cannot be opened" in message
    assert "\n" not in message


def test_sound_without_pictures_is_named(tmp_path):
    path = tmp_path / "sound.wav"
    samples = b"\0" * 1600
    fmt = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", 1600) + samples
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    with pytest.raises(SourceError, match="no video stream"):
        open_source(visible=path)


class Broken:
    """An input, recorded or live, that fails in a way that nobody foresaw."""

    name = "camera"
    total = None

    def __init__(self, error):
        from fusion_core.runtime.drop_log import DropLog

        self.drop_log = DropLog()
        self._error = error

    def frames(self):
        raise self._error
        yield

    def read(self, _timeout_s):
        raise self._error

    def close(self):
        raise OSError("already gone")


ERRORS = [ValueError("odd"), MemoryError(), AssertionError(), OSError(5, "no such device")]


@pytest.mark.parametrize("error", [*ERRORS, SystemExit(0), KeyboardInterrupt()])
def test_a_live_input_that_raises_anything_ends_with_an_error(error):
    with pytest.raises(SourceError, match=f"camera: stopped .{type(error).__name__}"):
        list(LiveSource([Broken(error)], silence_s=30).frames())


@pytest.mark.parametrize("error", ERRORS)
def test_a_recorded_input_that_raises_anything_does_not_end_the_other(tmp_path, error):
    from fusion_core.source.video import VideoStream

    sound = VideoStream(write_video(tmp_path / "vi.avi"), "visible")
    source = RecordedSource([Broken(error), sound])
    with pytest.raises(SourceError, match=type(error).__name__):
        list(source.frames())
    assert source.read == {"visible": _FRAMES}


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.0 404 Not Found\r\n\r\n", b"\0" * 5000])
def test_network_sender_of_nonsense_is_tried_again(answer):
    import socket
    import threading

    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]

    def serve():
        try:
            while True:
                connection, _ = listening.accept()
                with connection:
                    connection.sendall(answer)
        except OSError:
            return

    threading.Thread(target=serve, daemon=True).start()
    reader = NetworkReader(f"tcp://127.0.0.1:{port}", "visible")
    assert [reader.read(0.05) for _ in range(4)] == [None] * 4
    reader.close()
    listening.close()
