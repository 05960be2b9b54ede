import gc
from fractions import Fraction
from itertools import islice

import av
import cv2
import numpy as np
import pytest

from fusion_core.errors import SourceError, UsageError
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


def write_damaged(path, images, codec, pixel_format, hit, options=None):
    """Write a video whose packets ``hit`` have their middle third replaced by noise."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=options or {})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pixel_format
        packets = []
        for image in images:
            packets += stream.encode(av.VideoFrame.from_ndarray(image))
        packets += stream.encode(None)
        for index, packet in enumerate(packets):
            written = packet
            if index in hit:
                data = bytearray(bytes(packet))
                third = len(data) // 3
                data[third : 2 * third] = rng.bytes(third)
                written = av.Packet(bytes(data))
                written.pts, written.dts, written.duration = packet.pts, packet.dts, packet.duration
                written.time_base, written.is_keyframe = packet.time_base, packet.is_keyframe
                written.stream = stream
            container.mux(written)
    return path


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "options"),
    [
        # The last two store pictures out of order, where damage may take a neighbour with it.
        ("vi.avi", "mjpeg", "yuvj420p", {}),
        ("vi.mkv", "ffv1", "yuv420p", {}),
        ("vi.mov", "png", "rgb24", {}),
        ("vi.mp4", "libx264", "yuv420p", {"g": "10", "bf": "0"}),
        ("vi.mp4", "mpeg4", "yuv420p", {"g": "10"}),
        ("vi.mkv", "libx264", "yuv420p", {"g": "10"}),
        ("vi.mkv", "libx265", "yuv420p", {"x265-params": "keyint=10:log-level=none"}),
    ],
)
def test_a_damaged_packet_costs_only_itself(tmp_path, caplog, name, codec, pixel_format, options):
    scene = cv2.GaussianBlur(np.random.default_rng(0).random((120, 160, 3)), (0, 0), 3)
    scene = cv2.normalize(scene, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    images = [np.roll(scene, 2 * index, 1) for index in range(40)]
    path = write_damaged(tmp_path / name, images, codec, pixel_format, {13, 25}, options)
    with open_source(visible=path) as source:
        frames = list(source.frames())
    corrupt = source.drop_log.by_stream()["visible"]["corrupt"]
    assert len(frames) + corrupt == 40
    if codec in {"libx264", "libx265"} and name.endswith("mkv"):
        # H.265 says nothing of some damage; pictures out of order are lost with their neighbours.
        assert (1 if codec == "libx265" else 2) <= corrupt <= 8
    elif codec == "mpeg4":
        assert 2 <= corrupt <= 6  # FFmpeg refuses a few of its own packets, too
    else:
        assert corrupt == 2
    # The time of every frame still is that of its place among all 40.
    shown = [frame.stamp_ns * 30 / 1e9 for frame in frames]
    np.testing.assert_allclose(shown, np.rint(shown), atol=0.02)
    places = [round(place) for place in shown]
    assert np.abs(np.subtract([frame.sequence for frame in frames], places)).max() <= 1
    assert np.rint(shown[-1]) == 39
    said = [record.message for record in caplog.records if "is damaged" in record.message]
    assert len(said) == 1


def test_a_damaged_last_packet_does_not_make_a_whole_video_torn(tmp_path, pictures):
    path = write_damaged(tmp_path / "vi.avi", pictures(20), "mjpeg", "yuvj420p", {19})
    with open_source(visible=path) as source:
        assert len(list(source.frames())) == 19
    assert source.drop_log.by_cause() == {"corrupt": 1}


def test_pictures_that_all_break_the_rules_are_shown_as_players_do(tmp_path):
    """Every JPEG lacks its end, as from cameras that stop sending too early."""
    scene = cv2.GaussianBlur(np.random.default_rng(0).random((120, 160, 3)), (0, 0), 3)
    scene = cv2.normalize(scene, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    path = tmp_path / "vi.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuvj420p"
        for number in range(20):
            for packet in stream.encode(av.VideoFrame.from_ndarray(scene)):
                cut = av.Packet(bytes(packet)[: packet.size * 9 // 10])
                cut.pts = cut.dts = number
                cut.time_base, cut.stream = packet.time_base, stream
                container.mux(cut)
    with open_source(visible=path) as source:
        frames = list(source.frames())
    assert len(frames) == 20
    assert source.drop_log.by_cause() == {}
    top = slice(0, 80)
    assert np.abs(frames[5].image[top].astype(int) - scene[top]).mean() < 12


def test_nothing_but_damage_up_to_the_end_is_torn(tmp_path, pictures, until_error):
    path = write_damaged(tmp_path / "vi.mov", pictures(40), "png", "rgb24", range(24, 40))
    frames, message = until_error(open_source(visible=path).frames())
    assert len(frames) == 24
    assert "torn at frame 24" in message


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


def set_display_matrix(path, matrix):
    """Replace the display matrix in the track header of an MP4 file (ISO 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # flags, times and ids, reserved, layer
    whole = [int(value * 65536) for value in matrix]
    words = [whole[0], whole[1], 0, whole[2], whole[3], 0, 0, 0, 1 << 30]
    data[start : start + 36] = np.array(words, ">i4").tobytes()
    path.write_bytes(data)


@pytest.mark.parametrize("modality", ["visible", "thermal"])
@pytest.mark.parametrize(
    ("matrix", "turned"),
    # Columns of the matrix say where x and y are shown; the turns are numpy's, counter-clockwise.
    [
        ((1, 0, 0, 1), lambda image: image),
        ((-1, 0, 0, 1), np.fliplr),
        ((-1, 0, 0, -1), lambda image: np.rot90(image, 2)),
        ((1, 0, 0, -1), np.flipud),
        ((0, 1, 1, 0), lambda image: image.swapaxes(0, 1)),
        ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
        ((0, -1, -1, 0), lambda image: np.rot90(image, 2).swapaxes(0, 1)),
        ((0, -1, 1, 0), np.rot90),
    ],
)
def test_video_is_shown_as_its_display_matrix_says(make_video, modality, matrix, turned):
    image = np.zeros((48, 64, 3), np.uint8)
    image[:24, :32], image[:24, 32:], image[24:, :32] = 80, 160, 240
    path = make_video("turned.mp4", [image] * 2)
    set_display_matrix(path, matrix)
    with open_source(**{modality: path}) as source:
        frame = next(source.frames())
    expected = turned(image) if modality == "visible" else turned(image[..., 0])
    assert frame.image.shape == expected.shape
    assert frame.image.flags.c_contiguous
    assert np.median(np.abs(frame.image.astype(int) - expected)) <= 4
    assert np.abs(frame.image.astype(int) - expected).mean() <= 6


@pytest.mark.parametrize(
    ("codec", "pixel_format", "bits"),
    [
        ("ffv1", "gray10le", 10),
        ("ffv1", "gray12le", 12),
        ("ffv1", "gray16le", 16),
        ("ffv1", "yuv420p10le", 10),
        ("ffv1", "yuv420p12le", 12),
        ("ffv1", "gbrp12le", 12),
        ("ffv1", "rgb48le", 16),
    ],
)
def test_deep_thermal_video_keeps_its_levels(tmp_path, codec, pixel_format, bits):
    """What is written is read back by PyAV's own decoder in the stream's own pixel format."""
    full = 2**bits
    ramp = np.linspace(full // 4, full // 2, 96 * 128).reshape(96, 128).astype(np.uint16)
    path = write_counts(tmp_path / "ir.mkv", [ramp] * 3, codec, pixel_format, bits)
    with open_source(thermal=path) as source:
        frames = list(source.frames())
    assert {frame.encoding for frame in frames} == {"mono16"}
    counts = frames[0].image.astype(int).ravel()
    assert (np.diff(counts) >= -1).all()  # writing dithers
    assert len(np.unique(counts)) >= 0.8 * len(np.unique(ramp))


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_visible_video_in_16_bits_is_scaled_by_its_real_depth(tmp_path, bits):
    picture = np.random.default_rng(0).random((48, 64)) * (2**bits - 1)
    path = write_counts(
        tmp_path / "vi.mkv", [picture.astype(np.uint16)] * 3, "ffv1", "gray16le", 16
    )
    with open_source(visible=path) as source:
        frames = list(source.frames())
    assert {frame.encoding for frame in frames} == {"rgb8"}
    expected = picture / 2 ** (bits - 8)
    assert np.abs(frames[0].image[..., 0] - expected).max() <= 1.0


def test_brightness_of_deep_visible_video_does_not_follow_the_scene(tmp_path):
    bright = np.full((48, 64), 4000, np.uint16)
    images = [bright, bright // 16, bright // 4, bright]
    path = write_counts(tmp_path / "vi.mkv", images, "ffv1", "gray16le", 16)
    with open_source(visible=path) as source:
        means = [round(frame.image.mean()) for frame in source.frames()]
    assert means == [250, 15, 62, 250]


def write_counts(path, images, codec, pixel_format, bits):
    """Write one-channel images of so many bits, in whatever pixel format."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.height, stream.width = images[0].shape
        stream.pix_fmt = pixel_format
        for image in images:
            wide = (image << (16 - bits)).astype(np.uint16)
            given = av.VideoFrame.from_ndarray(wide, format="gray16le")
            if pixel_format == "gray16le":
                given = av.VideoFrame.from_ndarray(image, format="gray16le")
            container.mux(stream.encode(given.reformat(format=pixel_format)))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("pixel_format", ["yuyv422", "yuv422p"])
def test_bytes_of_a_yuyv_thermal_video_are_counts(tmp_path, pixel_format):
    """As stacked cameras send them: 16-bit little-endian counts, declared as YUYV."""
    counts = np.random.default_rng(0).integers(0, 65536, (96, 64)).astype("<u2")
    codec, name = ("rawvideo", "ir.avi") if pixel_format == "yuyv422" else ("ffv1", "ir.mkv")
    sent = av.VideoFrame(64, 96, "yuyv422")
    plane = np.frombuffer(sent.planes[0], np.uint8).reshape(96, -1)
    plane.flags.writeable or pytest.skip("planes cannot be written to")
    plane[:, :128] = counts.view(np.uint8).reshape(96, 128)
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 96, pixel_format
        container.mux(stream.encode(sent.reformat(format=pixel_format)))
        container.mux(stream.encode(None))
    with open_source(thermal=path, packed_counts=True) as source:
        frame = next(source.frames())
    assert frame.encoding == "mono16"
    np.testing.assert_array_equal(frame.image, counts)


def test_packed_counts_of_another_video_are_refused(make_video, pictures, until_error):
    path = make_video("ir.mp4", pictures(3))
    _, message = until_error(open_source(thermal=path, packed_counts=True).frames())
    assert "thermal.yuyv_counts needs a video in yuyv422" in message


def shift_start(path, target, seconds):
    """Copy a video so that it begins later."""
    with av.open(str(path)) as source, av.open(str(target), "w") as container:
        stream = source.streams.video[0]
        copy = container.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if not packet.size:
                continue
            late = round(seconds / packet.time_base)
            packet.pts += late
            packet.dts = None if packet.dts is None else packet.dts + late
            packet.stream = copy
            container.mux(packet)
    return target


def test_video_that_starts_late_is_whole_and_said(make_video, pictures, tmp_path, caplog):
    visible = make_video("vi.mkv", pictures(40))
    thermal = shift_start(make_video("ir.mkv", pictures(40, seed=1)), tmp_path / "late.mkv", 7)
    with open_source(visible=visible, thermal=thermal) as source:
        frames = list(source.frames())
    assert source.read == {"visible": 40, "thermal": 40}
    assert min(f.stamp_ns for f in frames if f.modality == "thermal") >= 7 * 10**9
    assert "sync.thermal_offset_ms to -7000" in caplog.text


def test_the_same_video_twice_is_refused(make_video, pictures, tmp_path):
    path = make_video("vi.mp4", pictures(3))
    (tmp_path / "ir.mp4").symlink_to(path)
    with pytest.raises(UsageError, match="fused with itself"):
        open_source(visible=path, thermal=tmp_path / "ir.mp4")


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


@pytest.mark.parametrize("modality", ["visible", "thermal"])
def test_pictures_are_freed_without_the_garbage_collector(make_video, modality):
    path = make_video("some.mp4", [np.zeros((48, 64, 3), np.uint8)] * 12)
    with open_source(**{modality: path}) as source:
        frames = source.frames()
        next(frames)  # what the first one loads may be garbage
        gc.collect()
        gc.disable()
        try:
            assert len(list(islice(frames, 8))) == 8
            assert gc.collect() == 0
        finally:
            gc.enable()
