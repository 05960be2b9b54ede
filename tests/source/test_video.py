from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from fusion_core.errors import SourceError
from fusion_core.source import open_source


def test_both_videos_are_read_in_step(make_video, pictures):
    visible = make_video("vi.mp4", pictures(12))
    thermal = make_video("ir.mp4", pictures(12, seed=1))
    with open_source(visible=visible, thermal=thermal) as source:
        assert not source.live
        assert source.total == 12
        frames = list(source.frames())
    assert source.read == {"visible": 12, "thermal": 12}
    assert source.drop_log.by_cause() == {}
    for index in range(12):
        pair = frames[2 * index : 2 * index + 2]
        assert {frame.modality for frame in pair} == {"visible", "thermal"}
        assert {frame.sequence for frame in pair} == {index}
        # 30 frames per second, rounded to whole nanoseconds.
        assert {frame.stamp_ns for frame in pair} == {round(Fraction(index * 10**9, 30))}


def test_convention_video_is_rgb(make_video):
    red = np.full((48, 64, 3), (255, 0, 0), np.uint8)
    path = make_video("red.mp4", [red] * 3)
    with open_source(visible=path) as source:
        frame = next(source.frames())
    assert frame.encoding == "rgb8"
    assert np.abs(frame.image.astype(int) - (255, 0, 0)).max() <= 4


def test_stamps_of_an_odd_rate_do_not_drift(make_video, pictures):
    path = make_video("ntsc.mkv", pictures(40), rate=Fraction(30000, 1001))
    with open_source(visible=path) as source:
        stamps = [frame.stamp_ns for frame in source.frames()]
    exact = [index * 1001 * 10**9 / 30000 for index in range(40)]
    # Matroska keeps whole milliseconds.
    assert np.abs(np.array(stamps) - exact).max() <= 500_001


def test_gray_thermal_video_becomes_one_channel(make_video):
    ramp = np.tile(np.linspace(20, 230, 64).astype(np.uint8), (48, 1))
    path = make_video("ir.mp4", [np.repeat(ramp[..., None], 3, 2)] * 3)
    with open_source(thermal=path) as source:
        frames = list(source.frames())
    assert source.total is None
    assert {frame.encoding for frame in frames} == {"mono8"}
    assert frames[0].image.shape == (48, 64)
    assert np.abs(frames[0].image.astype(int) - ramp).max() <= 4


def test_colour_mapped_thermal_video_stays_colour(make_video):
    ramp = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (48, 1))
    mapped = cv2.applyColorMap(ramp, cv2.COLORMAP_INFERNO)[..., ::-1]
    black = np.zeros_like(mapped)
    path = make_video("ir.mp4", [black, black, np.ascontiguousarray(mapped), black])
    with open_source(thermal=path) as source:
        assert {frame.encoding for frame in source.frames()} == {"rgb8"}


def test_16_bit_thermal_video_keeps_its_counts(make_video):
    counts = np.random.default_rng(0).integers(0, 65536, (5, 48, 64)).astype(np.uint16)
    path = make_video(
        "ir.mkv", list(counts), codec="ffv1", pixel_format="gray16le", layout="gray16le"
    )
    with open_source(thermal=path) as source:
        frames = list(source.frames())
    assert {frame.encoding for frame in frames} == {"mono16"}
    np.testing.assert_array_equal([frame.image for frame in frames], counts)


@pytest.mark.parametrize(
    ("name", "options", "predicted"),
    [
        ("h264.mkv", {}, True),
        ("intra.mkv", {"codec": "mjpeg", "pixel_format": "yuvj420p"}, False),
        ("lossless.mkv", {"codec": "ffv1"}, False),
    ],
)
def test_only_predicting_codecs_may_repeat_a_picture(
    make_video, pictures, name, options, predicted
):
    with open_source(thermal=make_video(name, pictures(3), **options)) as source:
        assert [frame.predicted for frame in source.frames()] == [predicted] * 3


def test_video_with_its_head_at_the_end_cut_off(make_video, pictures, tmp_path):
    path = make_video("vi.mp4", pictures(30))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(SourceError, match=r"vi\.mp4: cannot be opened as a video.*cut off"):
        open_source(visible=path)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("vi.mp4", "libx264"), ("vi.mp4", "mpeg4"), ("vi.mkv", "libx264"), ("vi.mkv", "ffv1")],
)
def test_truncated_video_gives_its_good_frames_then_the_error(
    make_video, pictures, until_error, name, codec
):
    options = {"movflags": "+faststart"} if name.endswith("mp4") else {}
    path = make_video(name, pictures(60), codec=codec, options=options)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    frames, message = until_error(open_source(visible=path).frames())
    assert 20 <= len(frames) < 45
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
    assert f"{path}: torn at frame {len(frames)}" in message
    assert "\n" not in message


def test_damage_inside_ends_the_video_there(make_video, pictures, until_error):
    path = make_video("vi.mp4", pictures(60), codec="mpeg4")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(range(200)) * 2
    path.write_bytes(data)
    frames, message = until_error(open_source(visible=path).frames())
    assert 20 <= len(frames) <= 40
    assert f"torn at frame {len(frames)}" in message


def test_video_torn_among_its_first_frames_gives_those_before(make_video, pictures, until_error):
    path = make_video("vi.mkv", pictures(60), codec="ffv1")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 12])
    frames, message = until_error(open_source(visible=path).frames())
    assert 1 <= len(frames) < 8
    assert f"torn at frame {len(frames)}" in message


def test_recording_that_begins_between_key_frames_starts_at_the_next(tmp_path, pictures):
    path = tmp_path / "vi.ts"
    every_20 = {"g": "20", "bf": "0", "sc_threshold": "0"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options=every_20)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        packets = []
        for image in pictures(60):
            packets += stream.encode(av.VideoFrame.from_ndarray(image))
        packets += stream.encode(None)
        container.mux(packets[5:])
    with open_source(visible=path) as source:
        frames = list(source.frames())
    assert len(frames) == 40
    np.testing.assert_allclose(np.diff([frame.stamp_ns for frame in frames]), 1e9 / 30, atol=12_000)


def test_torn_thermal_does_not_cost_visible_frames(make_video, pictures, until_error):
    visible = make_video("vi.mp4", pictures(60))
    thermal = make_video("ir.mkv", pictures(60, seed=1), codec="ffv1")
    thermal.write_bytes(thermal.read_bytes()[: thermal.stat().st_size // 2])
    source = open_source(visible=visible, thermal=thermal)
    frames, message = until_error(source.frames())
    assert source.read["visible"] == 60
    assert source.read["thermal"] == len(frames) - 60
    assert "ir.mkv" in message


def test_trimmed_video_is_not_called_torn(make_video, pictures, tmp_path):
    """A cut without re-encoding leaves frames in the file that an edit list hides."""
    whole = make_video("whole.mp4", pictures(60), codec="mpeg4", options={})
    trimmed = tmp_path / "trimmed.mp4"
    with av.open(str(whole)) as source, av.open(str(trimmed), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        step = int(1 / (30 * stream.time_base))
        for packet in source.demux(stream):
            if packet.dts is None:
                continue
            packet.pts -= 7 * step
            packet.dts -= 7 * step
            packet.stream = copy
            target.mux(packet)
    with open_source(visible=trimmed) as source:
        frames = list(source.frames())
    assert len(frames) == 53
    assert frames[0].stamp_ns == 0


def test_longer_sound_does_not_make_a_video_torn(tmp_path, pictures):
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=8000)
        for image in pictures(10):
            container.mux(video.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), layout="mono")
        frame.rate = 8000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    with open_source(visible=path) as source:
        assert len(list(source.frames())) == 10


def test_file_that_is_no_video(tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("these are no pictures")
    with pytest.raises(SourceError, match=r"notes\.mp4: cannot be opened"):
        open_source(visible=path)


def test_closing_early_ends_the_iteration(make_video, pictures):
    path = make_video("vi.mp4", pictures(10))
    source = open_source(visible=path)
    frames = source.frames()
    next(frames)
    source.close()
    source.close()
    assert list(frames) == []


@pytest.mark.data
def test_recorded_smoke_video(recordings):
    folder = recordings / "video" / "0117_1620"
    with open_source(visible=folder / "vi.mp4", thermal=folder / "ir.mp4") as source:
        assert source.total == 590
        for frame in source.frames():
            assert frame.image.shape[:2] == (480, 640)
            assert frame.encoding == ("rgb8" if frame.modality == "visible" else "mono8")
            assert frame.stamp_ns == round(Fraction(frame.sequence * 10**9, 30))
    assert source.read == {"visible": 590, "thermal": 590}
