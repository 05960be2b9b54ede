import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.errors import EncodingError
from fusion_core.transport import wire
from fusion_core.transport.wire import WireImage, decode_message, encode_message

IMAGES = {
    "rgb8": np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3),
    "mono8": np.arange(20, dtype=np.uint8).reshape(4, 5),
    "mono16": np.arange(20, dtype=np.uint16).reshape(4, 5) * 3000,
    "32FC1": np.linspace(-40, 500, 20, dtype=np.float32).reshape(4, 5),
}


def message(encoding="mono16", **changes):
    fields = {
        "stamp_ns": 1_700_000_000_123_456_789,
        "kind": "thermal",
        "encoding": encoding,
        "image": IMAGES[encoding],
        "sequence": 7,
        "frame_id": "boson_camera",
    }
    return WireImage(**{**fields, **changes})


@pytest.mark.parametrize("encoding", IMAGES)
@pytest.mark.parametrize("topic", ["", "visible", "lwir/ä"])
def test_round_trip(encoding, topic):
    sent = message(encoding)
    got = decode_message(encode_message(sent, topic))
    assert (got.stamp_ns, got.kind, got.encoding, got.sequence, got.frame_id) == (
        sent.stamp_ns,
        sent.kind,
        sent.encoding,
        sent.sequence,
        sent.frame_id,
    )
    assert got.image.dtype == sent.image.dtype
    np.testing.assert_array_equal(got.image, sent.image)


# Written by hand from the table in the module's docstring; it never changes within a version.
GOLDEN = bytes.fromhex(
    "74 00"  # topic "t"
    "46555345 02 01 02 03"  # magic, version 2, thermal, mono16, frame id of 3 bytes
    "15cd5b0700000000"  # stamp: 123456789
    "07000000 02000000 03000000 00000000"  # sequence 7, height 2, width 3, reserved
    "616263"  # frame id "abc"
    "0000000000 000000 000000"  # padding from 37 to 48 bytes
    "0100 0200 0300 0001 ffff 0000"  # pixels: 1 2 3, 256 65535 0
)
GOLDEN_IMAGE = np.array([[1, 2, 3], [256, 65535, 0]], np.uint16)


def test_convention_bytes_on_the_wire():
    sent = WireImage(123456789, "thermal", "mono16", GOLDEN_IMAGE, 7, "abc")
    assert encode_message(sent, "t") == GOLDEN
    got = decode_message(GOLDEN)
    assert (got.stamp_ns, got.kind, got.encoding, got.sequence, got.frame_id) == (
        123456789,
        "thermal",
        "mono16",
        7,
        "abc",
    )
    np.testing.assert_array_equal(got.image, GOLDEN_IMAGE)


def test_convention_codes_of_kinds_and_encodings():
    """Byte 5 is the kind and byte 6 the encoding, numbered as in the docstring."""
    kinds = [encode_message(message(kind=kind))[1 + 5] for kind in ("visible", "thermal", "fused")]
    codes = [encode_message(message(name))[1 + 6] for name in ("rgb8", "mono8", "mono16", "32FC1")]
    assert (kinds, codes) == ([0, 1, 2], [0, 1, 2, 3])


def changed(offset, layout, *values):
    """Return the golden message with other values at an offset behind its topic."""
    data = bytearray(GOLDEN)
    struct.pack_into(layout, data, 2 + offset, *values)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (changed(0, "<4s", b"JUNK"), "JUNK"),
        (changed(4, "<B", 1), "version 1"),
        (changed(5, "<B", 3), "kind 3"),
        (changed(6, "<B", 4), "encoding 4"),
        (changed(8, "<q", -1), "stamped -1 ns"),
        (changed(8, "<q", 2**31 * 10**9), "2\\^31 s"),
        (changed(8, "<q", 2**63 - 1), "clock"),
        (changed(20, "<I", 0), "no match"),
        (changed(20, "<II", 2**32 - 1, 2**32 - 1), "at most"),
        (changed(20, "<I", 3), "12 of 18"),
        (changed(28, "<I", 1), "reserved field 1"),
        (changed(32, "<B", 0xFF), "UTF-8"),
        (GOLDEN + b"\0", "13 of 12"),
        (GOLDEN[2:], "header is truncated|begins with"),
    ],
)
def test_value_out_of_range_is_refused(data, words):
    with pytest.raises(EncodingError, match=words):
        decode_message(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"stamp_ns": -1},
        {"stamp_ns": 2**31 * 10**9},
        {"stamp_ns": 10**30},
        {"sequence": -1},
        {"sequence": 2**32},
        {"frame_id": "ä" * 128},
    ],
)
def test_value_out_of_range_is_not_sent(changes):
    with pytest.raises(EncodingError):
        encode_message(message(**changes))


def test_largest_values_are_carried():
    extreme = message(
        stamp_ns=2**31 * 10**9 - 1, sequence=2**32 - 1, frame_id="ä" * 127, kind="fused"
    )
    got = decode_message(encode_message(extreme, "t" * 4000))
    assert (got.stamp_ns, got.sequence, got.frame_id) == (2**31 * 10**9 - 1, 2**32 - 1, "ä" * 127)


def test_image_that_is_not_contiguous_is_sent_whole():
    image = np.arange(40, dtype=np.uint8).reshape(4, 10)[:, ::2]
    got = decode_message(encode_message(message("mono8", image=image)))
    np.testing.assert_array_equal(got.image, image)


@settings(deadline=None)
@given(share=st.floats(0, 0.9999))
def test_truncated_message_is_refused(share):
    data = encode_message(message(), "topic")
    with pytest.raises(EncodingError):
        decode_message(data[: int(len(data) * share)])


@settings(deadline=None)
@given(data=st.binary(max_size=300))
def test_foreign_bytes_are_refused(data):
    with pytest.raises(EncodingError):
        decode_message(data)


@settings(deadline=None)
@given(position=st.integers(0, 79), value=st.integers(0, 255))
def test_damaged_header_is_refused_or_harmless(position, value):
    data = bytearray(encode_message(message(), "topic"))
    data[position] = value
    try:
        got = decode_message(bytes(data))
    except EncodingError:
        return
    assert got.image.nbytes == IMAGES["mono16"].nbytes


def test_too_large_image_is_not_sent():
    image = np.broadcast_to(np.zeros((1, 1), np.uint8), (8193, 8192))
    with pytest.raises(EncodingError, match=str(64 * 1024 * 1024)):
        encode_message(message("mono8", image=image))


def test_too_large_image_is_not_accepted(monkeypatch):
    data = encode_message(message("mono8"))
    monkeypatch.setattr(wire, "MAX_PIXEL_BYTES", 19)
    with pytest.raises(EncodingError, match="at most 19"):
        decode_message(data)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"encoding": "bgr8"}, "bgr8"),
        ({"encoding": "rgb8"}, "no match"),
        ({"image": IMAGES["mono8"]}, "no match"),
    ],
)
def test_image_that_does_not_fit_its_encoding_is_not_sent(changes, words):
    with pytest.raises(EncodingError, match=words):
        encode_message(replace(message(), **changes))


def test_topic_with_the_end_mark_is_refused():
    with pytest.raises(EncodingError, match="zero byte"):
        encode_message(message(), "a\0b")
