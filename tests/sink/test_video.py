import logging
import os
import resource
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.errors import SinkError
from fusion_core.sink import open_sink
from fusion_core.sink.video import PresentationClock, letterbox
from fusion_core.source import open_source

SECOND = 1_000_000_000
TICKS = 90_000


def decode(path):
    """Return the pictures as RGB and their times in seconds, as a player sees them."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        info = (stream.codec_context.name, stream.format.name, stream.width, stream.height)
    return (
        [frame.to_ndarray(format="rgb24") for frame in frames],
        [frame.pts * frame.time_base for frame in frames],
        info,
    )


def smooth(height=48, width=64):
    y, x = np.mgrid[:height, :width]
    return np.dstack([x * 255 / width, y * 255 / height, 128 + 0 * x]).astype(np.uint8)


@pytest.mark.parametrize("name", ["fused.mp4", "fused.mkv"])
def test_video_plays_in_a_browser_with_the_stamps_timing(tmp_path, make_fused, name):
    path = tmp_path / "new" / name
    stamps = [5 * SECOND + s for s in (0, 33_333_333, 66_666_667, 200_000_000, 1_200_000_000)]
    with open_sink(str(path)) as sink:
        assert sink.path == path
        for number, stamp in enumerate(stamps):
            sink.write(make_fused(number, stamp, smooth()))
    images, times, info = decode(path)
    assert info == ("h264", "yuv420p", 64, 48)
    assert len(images) == 5
    tick = Fraction(1, 1000) if name.endswith("mkv") else Fraction(1, TICKS)
    for time, stamp in zip(times, stamps, strict=True):
        assert abs(time - Fraction(stamp - stamps[0], SECOND)) <= tick


def test_thirty_hertz_is_exact_to_the_tick(tmp_path, make_fused):
    path = tmp_path / "fused.mp4"
    with open_sink(str(path)) as sink:
        for number in range(60):
            sink.write(make_fused(number))
    assert decode(path)[1] == [Fraction(number, 30) for number in range(60)]


def test_convention_video_keeps_rgb(tmp_path, make_fused):
    path = tmp_path / "fused.mp4"
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 120, 40)]
    with open_sink(str(path)) as sink:
        for number, colour in enumerate(colours):
            sink.write(make_fused(number, image=np.full((48, 64, 3), colour, np.uint8)))
    for image, colour in zip(decode(path)[0], colours, strict=True):
        assert np.abs(image.astype(int) - colour).max() <= 4


def mp4_boxes(path):
    """Return the kinds of the boxes of a file's top level (ISO 14496-12, 4.2)."""
    data, position, kinds = path.read_bytes(), 0, []
    while position < len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        kinds.append(data[position + 4 : position + 8].decode())
        position += size
    return kinds


def test_finished_mp4_is_an_ordinary_file(tmp_path, make_fused):
    path = tmp_path / "fused.mp4"
    with open_sink(str(path)) as sink:
        for number in range(60):
            sink.write(make_fused(number))
    assert sorted(mp4_boxes(path)) == ["free", "ftyp", "mdat", "moov"]


def test_killed_mp4_can_be_played_and_read(tmp_path, make_fused):
    path, copy = tmp_path / "fused.mp4", tmp_path / "killed.mp4"
    sink = open_sink(str(path))
    for number in range(240):
        sink.write(make_fused(number, image=smooth(24, 32)))
    copy.write_bytes(path.read_bytes())
    sink.close()
    images, times, _ = decode(copy)
    assert 240 - 75 <= len(images) < 240
    assert times == [Fraction(number, 30) for number in range(len(images))]
    with open_source(visible=copy) as source:
        assert len(list(source.frames())) == len(images)


def test_odd_size_is_padded_by_its_border(tmp_path, make_fused):
    path = tmp_path / "fused.mp4"
    with open_sink(str(path)) as sink:
        sink.write(make_fused(image=smooth(47, 63)))
    (image,), _, info = decode(path)
    assert info[2:] == (64, 48)
    assert np.abs(image[:47, :63].astype(int) - smooth(47, 63)).mean() < 4


def test_written_frames_survive_an_exception(tmp_path, make_fused):
    path = tmp_path / "fused.mp4"

    def run():
        with open_sink(str(path)) as sink:
            for number in range(20):
                if number == 10:
                    raise RuntimeError("the network failed")
                sink.write(make_fused(number))

    with pytest.raises(RuntimeError, match="network"):
        run()
    assert len(decode(path)[0]) == 10


def test_full_disk_keeps_what_fitted(tmp_path, make_fused):
    """A limit on file size makes real writes fail as on a full disk."""

    def write_many(sink, count):
        for number in range(count):
            sink.write(make_fused(number))

    path = tmp_path / "fused.mkv"
    sink = open_sink(str(path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(SinkError, match=r"fused\.mkv: cannot be written"):
            write_many(sink, 500)
        sink.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(decode(path)[0]) > 10


def test_frames_are_playable_before_matroska_is_closed(tmp_path, make_fused):
    path = tmp_path / "fused.mkv"
    sink = open_sink(str(path))
    for number in range(400):
        sink.write(make_fused(number))
    copy = tmp_path / "killed.mkv"
    copy.write_bytes(path.read_bytes())
    sink.close()
    assert len(decode(copy)[0]) > 100


def test_killed_matroska_of_small_still_pictures_lacks_less_than_a_second(tmp_path, make_fused):
    path = tmp_path / "fused.mkv"
    sink = open_sink(str(path))
    copy = tmp_path / "killed.mkv"
    for number in range(200):
        sink.write(make_fused(number, image=smooth(24, 32)))
        if number in {40, 99, 170}:
            copy.write_bytes(path.read_bytes())
            assert len(decode(copy)[0]) >= number - 30
    sink.close()
    assert len(decode(path)[0]) == 200


def test_name_like_a_protocol_is_a_file(tmp_path, make_fused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a|b.mkv", "pipe:1.mp4", "tee:[f=mp4]x.mp4"):
        with open_sink(name) as sink:
            sink.write(make_fused())
        assert len(decode(tmp_path / name)[0]) == 1
    assert len(list(tmp_path.iterdir())) == 3


def test_named_pipe_is_refused_at_once(tmp_path):
    path = tmp_path / "fused.mkv"
    os.mkfifo(path)
    with pytest.raises(
        SinkError, match=r"fused\.mkv: cannot be written \(it exists and is no file"
    ):
        open_sink(str(path))


def test_change_of_size_is_letterboxed_and_said_once(tmp_path, make_fused, caplog):
    path = tmp_path / "fused.mp4"
    white = np.full((48, 48, 3), 255, np.uint8)
    with caplog.at_level(logging.WARNING), open_sink(str(path)) as sink:
        sink.write(make_fused(0, image=smooth()))
        sink.write(make_fused(1, image=white))
        sink.write(make_fused(2, image=white))
    assert caplog.text.count("64x48 to 48x48") == 1
    images, _, _ = decode(path)
    assert [image.shape for image in images] == [(48, 64, 3)] * 3
    assert images[2][:, 12:52].min() > 240
    assert images[2][:, :4].max() < 16


def test_letterbox_keeps_the_shape_and_centres():
    boxed = letterbox(np.full((10, 40, 3), 200, np.uint8), 20, 20)
    rows = np.flatnonzero(boxed[:, 10, 0])
    assert boxed.shape == (20, 20, 3)
    # 40 wide into 20: half the size, 5 rows, as many above as below up to one.
    assert rows.tolist() == [7, 8, 9, 10, 11]


def test_no_frame_leaves_no_file(tmp_path):
    path = tmp_path / "fused.mp4"
    sink = open_sink(str(path))
    sink.close()
    sink.close()
    assert not path.exists()


def test_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="file"):
        open_sink(str(tmp_path / "file" / "fused.mp4"))
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(SinkError, match=r"folder\.mp4: cannot be written"):
        open_sink(str(tmp_path / "folder.mp4"))


@settings(deadline=None)
@given(stamps=st.lists(st.integers(0, 4 * 10**18), min_size=1, max_size=50))
def test_presentation_times_always_grow(stamps):
    clock = PresentationClock()
    ticks = [clock.ticks(stamp) for stamp in stamps]
    assert ticks[0] == 0
    assert all(0 < b - a <= 3600 * TICKS for a, b in pairwise(ticks))


@settings(deadline=None)
@given(gaps=st.lists(st.integers(10**6, 10**12), max_size=50), start=st.integers(0, 10**18))
def test_presentation_times_do_not_drift(gaps, start):
    clock = PresentationClock()
    stamp = start
    clock.ticks(start)
    for gap in gaps:
        stamp += gap
        assert abs(clock.ticks(stamp) - Fraction(stamp - start) * TICKS / SECOND) <= Fraction(1, 2)


def test_clock_set_back_goes_on_with_the_last_period():
    clock = PresentationClock()
    stamps = [100 * SECOND, 100 * SECOND + SECOND // 10, 3 * SECOND, 3 * SECOND + SECOND // 10]
    assert [clock.ticks(stamp) for stamp in stamps] == [0, 9000, 18000, 27000]
