"""Messages of every transport to frames. Pictures come from FFmpeg's own encoders."""

import logging
import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from video_messages import NS, encode, header, scenes, stamp

from fusion_core.errors import EncodingError, UnknownEncodingError
from fusion_core.transport.image_messages import COMPRESSED, ImageMessageDecoder, drop_cause
from fusion_core.transport.message_definitions import COMPRESSED_VIDEO, FFMPEG_PACKET

START = 1_700_000_000 * NS
STEP = NS // 30


def ffmpeg_packet(stamp_ns, data, name="libx264"):
    return FFMPEG_PACKET, SimpleNamespace(header=header(stamp_ns), encoding=name, data=data)


def foxglove_video(stamp_ns, data, name="h264"):
    message = SimpleNamespace(timestamp=stamp(stamp_ns), frame_id="camera", data=data, format=name)
    return COMPRESSED_VIDEO, message


def compressed(stamp_ns, data, name="h264"):
    return COMPRESSED, SimpleNamespace(header=header(stamp_ns), format=name, data=data)


def decoded(decoder, messages):
    """Return the frames of all messages, and the causes of those left out."""
    frames, causes = [], []
    for index, (kind, message) in enumerate(messages):
        try:
            frames += decoder.decode(message, kind, START + index, sequence=index)
        except EncodingError as error:
            causes.append(drop_cause(error))
    return frames + decoder.flush(), causes


@pytest.mark.parametrize("make", [ffmpeg_packet, foxglove_video, compressed])
@pytest.mark.parametrize(
    ("codec", "name", "b_frames"),
    [("libx264", "h264", 0), ("libx264", "h264", 2), ("libx265", "h265", 0)],
)
def test_video_in_messages_gives_every_picture_with_its_stamp(make, codec, name, b_frames):
    pictures = scenes(12)
    packets = encode(pictures, codec, b_frames=b_frames)
    messages = [make(START + number * STEP, data, name) for number, data in packets]
    frames, causes = decoded(ImageMessageDecoder("visible"), messages)
    assert causes == []
    assert [frame.stamp_ns for frame in frames] == [START + n * STEP for n in range(12)]
    assert all(frame.predicted and frame.frame_id == "camera" for frame in frames)
    for frame, picture in zip(frames, pictures, strict=True):
        assert frame.encoding == "rgb8"
        assert np.abs(frame.image.astype(int) - picture).mean() < 6


def test_thermal_video_of_ten_bits_keeps_them():
    ramp = np.tile(np.arange(96, dtype=np.uint16) * 10, (64, 1))
    packets = encode([ramp] * 3, "libx265", pixel_format="gray10le", layout="gray10le")
    messages = [ffmpeg_packet(START + n * STEP, data, "hevc") for n, data in packets]
    frames, causes = decoded(ImageMessageDecoder("thermal"), messages)
    assert causes == []
    assert [frame.encoding for frame in frames] == ["mono16"] * 3
    assert np.abs(frames[0].image.astype(int) - ramp).max() < 12


def test_a_damaged_packet_costs_pictures_up_to_the_next_whole_one():
    pictures = scenes(15)
    packets = encode(pictures)
    messages = [ffmpeg_packet(START + n * STEP, data) for n, data in packets]
    kind, message = messages[5]
    message.data = b"\xff" * len(message.data)  # a whole picture: those after it refer to it
    frames, causes = decoded(ImageMessageDecoder("visible"), messages)
    assert set(causes) == {"corrupt"}
    assert [frame.sequence for frame in frames[-5:]] == list(range(10, 15))
    assert all(
        frame.stamp_ns == START + frame.sequence * STEP
        and np.abs(frame.image.astype(int) - pictures[frame.sequence]).mean() < 6
        for frame in frames
    )
    assert kind == FFMPEG_PACKET


def test_a_stream_joined_in_the_middle_begins_with_its_next_whole_picture():
    packets = encode(scenes(12))[3:]
    frames, _ = decoded(
        ImageMessageDecoder("visible"), [foxglove_video(START + n * STEP, d) for n, d in packets]
    )
    assert [frame.stamp_ns for frame in frames] == [START + n * STEP for n in range(5, 12)]


def test_a_codec_nobody_reads_is_named():
    kind, message = ffmpeg_packet(START, b"abc", "theora")
    with pytest.raises(UnknownEncodingError, match="'theora'"):
        ImageMessageDecoder("visible").decode(message, kind, START)


def depth_message(picture, name, scale=0.0, shift=0.0):
    data = struct.pack("<iff", 0, scale, shift) + cv2.imencode(".png", picture)[1].tobytes()
    return compressed(START, data, name)


def test_compressed_depth_keeps_counts():
    counts = np.random.default_rng(1).integers(0, 65536, (24, 32)).astype(np.uint16)
    kind, message = depth_message(counts, "16UC1; compressedDepth png")
    (frame,) = ImageMessageDecoder("thermal").decode(message, kind, START)
    assert frame.encoding == "mono16"
    np.testing.assert_array_equal(frame.image, counts)


def test_compressed_depth_of_floats_is_unpacked_by_its_quantisation():
    # compressed_depth_image_transport stores A / depth + B, and zero where depth is not known.
    depth = np.linspace(0.5, 8.0, 24 * 32).reshape(24, 32)
    scale, shift = 5000.0, 10.0
    stored = (scale / depth + shift).astype(np.uint16)
    stored[0, 0] = 0
    kind, message = depth_message(stored, "32FC1; compressedDepth png", scale, shift)
    (frame,) = ImageMessageDecoder("thermal").decode(message, kind, START)
    assert frame.encoding == "32FC1"
    assert np.isnan(frame.image[0, 0])
    np.testing.assert_allclose(frame.image.ravel()[1:], depth.ravel()[1:], rtol=0.002)


@pytest.mark.parametrize(
    ("name", "data", "cause"),
    [
        ("16UC1; compressedDepth rvl", bytes(40), "unknown_encoding"),
        ("16UC1; compressedDepth png", bytes(5), "corrupt"),
        ("16UC1; compressedDepth png", bytes(40), "corrupt"),
        ("h264", b"", "corrupt"),
        ("jpeg", b"\xff\xd8\xff", "corrupt"),
    ],
)
def test_what_cannot_be_read_is_counted_by_its_cause(name, data, cause):
    assert decoded(ImageMessageDecoder("thermal"), [compressed(START, data, name)]) == ([], [cause])


@pytest.mark.parametrize(
    ("stamps", "expected", "words"),
    [
        ([0, 0, 0, 0], ["r", "r", "r", "r"], "not set"),
        ([7, 7, 7, 7, 7], [7, 7, "r", "r", "r"], "do not change"),
        ([1, 2, 2, 3], [1, 2, 2, 3], ""),
        ([5, 0, 6], [5, "r", 6], "not set"),
    ],
)
def test_unset_and_constant_stamps_give_way_to_reception(caplog, stamps, expected, words):
    decoder = ImageMessageDecoder("thermal")
    png = cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes()
    messages = [compressed(value, png, "png") for value in stamps]
    with caplog.at_level(logging.WARNING):
        frames, _ = decoded(decoder, messages)
    for index, (frame, value) in enumerate(zip(frames, expected, strict=True)):
        assert frame.stamp_ns == (START + index if value == "r" else value)
        assert frame.received_ns == START + index
    assert words in decoder.stamps.problem
    assert len(caplog.records) == bool(words)
