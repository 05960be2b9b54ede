"""A packet that is damaged inside is noticed, whatever the decoder could make of it."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from fusion_core.errors import EncodingError
from fusion_core.source import open_source
from fusion_core.transport.video_packets import PacketDecoder

HIT = (13, 24)
COUNT = 40


def encode(codec, pixel_format, options):
    """Return the packets of a sliding texture, with a key frame every ten."""
    scene = cv2.GaussianBlur(np.random.default_rng(0).random((120, 160, 3)), (0, 0), 2)
    scene = cv2.normalize(scene, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    context = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = 160, 120, pixel_format
    context.time_base, context.options = Fraction(1, 30), options
    packets = []
    for index in range(COUNT):
        frame = av.VideoFrame.from_ndarray(np.roll(scene, 3 * index, 1))
        frame.pts = index
        packets += context.encode(frame)
    return packets + context.encode(None)


def halve(data):
    return data[: len(data) // 2]


def lose_the_end(data):
    return data[: len(data) * 9 // 10]


def lose_the_middle(data):
    return data[: len(data) // 3] + data[len(data) // 2 :]


def scramble(data):
    third = len(data) // 3
    return data[:third] + np.random.default_rng(1).bytes(third) + data[2 * third :]


def blank(data):
    return data[: len(data) // 2] + bytes(len(data) - len(data) // 2)


KINDS = [halve, lose_the_end, lose_the_middle, scramble, blank]
X264 = {"g": "10", "bf": "0"}
CASES = [
    *[("libx264", "yuv420p", X264, kind) for kind in KINDS],
    *[("libx264", "yuv420p", {**X264, "tune": "zerolatency"}, kind) for kind in KINDS],
    *[("mpeg4", "yuv420p", {"g": "10"}, kind) for kind in KINDS],
    *[("mjpeg", "yuvj420p", {}, kind) for kind in KINDS],
    # H.265 carries nothing by which other damage could be told.
    ("libx265", "yuv420p", {"x265-params": "keyint=10:bframes=0:log-level=none"}, halve),
]
DECODERS = {"libx264": "h264", "libx265": "hevc"}


def decoded(codec, packets, damage=None):
    """Return the positions of the pictures shown, and how many packets were refused."""
    decoder = PacketDecoder(DECODERS.get(codec, codec), "visible")
    shown, refused = set(), 0
    for number, data in enumerate([*packets, b""]):
        hurt = damage is not None and number in HIT
        try:
            found = decoder.decode(damage(data) if hurt else data, number)
        except EncodingError:
            refused += 1
        else:
            shown |= {position for position, _, _ in found}
    return shown, refused


@pytest.mark.parametrize(("codec", "pixel_format", "options", "damage"), CASES)
def test_the_picture_of_a_packet_damaged_inside_is_not_shown(codec, pixel_format, options, damage):
    packets = [bytes(packet) for packet in encode(codec, pixel_format, options)]
    whole, none = decoded(codec, packets)
    assert not none
    shown, refused = decoded(codec, packets, damage)
    assert shown.isdisjoint(HIT)
    assert refused >= len(whole.intersection(HIT))
    # A later picture may be refused as well: it refers to a damaged one.
    lost = whole - shown - set(HIT)
    assert all(number > HIT[0] for number in lost)
    assert len(lost) <= 6


@pytest.mark.parametrize("damage", KINDS)
def test_every_picture_of_a_damaged_file_is_given_or_counted(tmp_path, damage):
    """With pictures stored out of order, where one packet may cost its neighbours."""
    path = tmp_path / "vi.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"g": "10", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number, packet in enumerate(encode("libx264", "yuv420p", {"g": "10", "bf": "2"})):
            data = bytes(packet)
            copy = av.Packet(damage(data) if number in HIT else data)
            copy.pts, copy.dts, copy.stream = packet.pts, packet.dts, stream
            copy.time_base, copy.is_keyframe = Fraction(1, 30), packet.is_keyframe
            container.mux(copy)
    with open_source(visible=path) as source:
        places = [round(frame.stamp_ns * 30 / 1e9) for frame in source.frames()]
    corrupt = source.drop_log.by_cause()["corrupt"]
    assert len(places) + corrupt == COUNT
    assert len(HIT) <= corrupt <= 10
    assert places == sorted(set(places))


def test_a_stream_without_any_whole_picture_is_shown_as_players_do():
    """Every JPEG lacks its end, as from cameras that stop sending too early."""
    decoder = PacketDecoder("mjpeg", "visible")
    shown, refused = 0, 0
    for number, packet in enumerate(encode("mjpeg", "yuvj420p", {})):
        try:
            shown += len(decoder.decode(lose_the_end(bytes(packet)), number))
        except EncodingError:
            refused += 1
    assert (shown, refused) == (COUNT - 8, 8)
