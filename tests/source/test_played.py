"""Recordings played in real time, as live inputs."""

import threading
import time

import av
import numpy as np
import pytest

from fusion_core.errors import UsageError
from fusion_core.source import open_source
from fusion_core.source.base import InputEnded
from fusion_core.source.played import PlayedStream

RATE = 30


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuvj420p"
        for number in range(12):
            picture = av.VideoFrame.from_ndarray(
                np.full((36, 32), 20 * number, np.uint8), "yuv420p"
            )
            container.mux(stream.encode(picture.reformat(format="yuvj420p")))
        container.mux(stream.encode(None))
    return path


def read_all(stream, timeout_s):
    """Return what comes until the end, None for each time that nothing came."""
    while True:
        try:
            yield stream.read(timeout_s)
        except InputEnded:
            return


def test_no_frame_comes_before_it_is_due(video):
    stream = PlayedStream(f"play://{video}", ("visible",))
    found = [(time.monotonic(), frame) for frame in read_all(stream, 0.05) if frame is not None]
    stream.close()
    start_s, first = found[0]
    assert first.stamp_ns == 0
    for came_s, frame in found:
        assert came_s - start_s >= frame.stamp_ns / 1e9 - 0.1
        assert frame.received_ns is not None


def test_it_ends_with_the_recording_and_so_does_the_source(video):
    stream = PlayedStream(f"play://{video}", ("thermal",))
    stream.begin(time.monotonic() - 3600, 0)  # all of it is long overdue
    assert [*read_all(stream, 0.0)] == [None] * 12
    assert stream.drop_log.by_stream()["thermal"] == {"queue_full": 12}
    stream.close()
    with open_source(visible=f"play://{video}", thermal=f"play://{video}?loop=0") as source:
        assert source.live
        assert source.total is None
        counts = [frame.modality for frame in source.frames()]
    lost = source.drop_log.by_stream()["visible"].get("queue_full", 0)
    assert counts.count("visible") + lost == 12


def test_a_loop_goes_on_with_growing_stamps(video):
    stream = PlayedStream(f"play://{video}?loop=1", ("visible",))
    stamps = []
    while len(stamps) < 30:
        stamps.append(stream.first_ns)
        stream.begin(time.monotonic(), stream.first_ns)
        assert stream.read(1.0) is not None
    steps = np.diff(stamps)
    assert steps.min() > 0
    assert steps.max() < 2.1 * steps.min()
    stream.close()


def test_it_gives_one_stream_and_takes_no_other_option(video):
    with pytest.raises(UsageError, match="one for each stream"):
        PlayedStream(f"play://{video}", ("visible", "thermal"))
    with pytest.raises(UsageError, match="loop=1"):
        PlayedStream(f"play://{video}?speed=2", ("visible",))
    with pytest.raises(UsageError, match="does not exist"):
        open_source(visible="play://nowhere.mp4", thermal=f"play://{video}")


def test_closing_ends_a_source_that_plays_for_ever(video):
    source = open_source(visible=f"play://{video}?loop=1", thermal=f"play://{video}?loop=true")
    frames = []
    reader = threading.Thread(target=lambda: frames.extend(source.frames()), daemon=True)
    reader.start()
    while len(frames) == 0 and reader.is_alive() and not source.read:
        time.sleep(0.01)
    source.close()
    reader.join(60)
    assert not reader.is_alive()
