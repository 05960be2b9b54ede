import json
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


def test_convention_bytes_on_the_wire():
    """The layout in the module's docstring, read back by hand."""
    data = encode_message(message("mono16"), "t")
    assert data[:2] == b"t\0"
    magic, version, zero, length = struct.unpack_from("<4sBBH", data, 2)
    assert (magic, version, zero) == (b"FUSE", 1, 0)
    pixels = data[10 + length :]
    assert (10 + length) % 16 == 0
    assert pixels == IMAGES["mono16"].astype("<u2").tobytes()


def test_image_that_is_not_contiguous_is_sent_whole():
    image = np.arange(40, dtype=np.uint8).reshape(4, 10)[:, ::2]
    got = decode_message(encode_message(message("mono8", image=image)))
    np.testing.assert_array_equal(got.image, image)


@settings(deadline=None)
@given(share=st.floats(0, 0.9999))
def test_torn_message_is_refused(share):
    data = encode_message(message(), "topic")
    with pytest.raises(EncodingError):
        decode_message(data[: int(len(data) * share)])


@settings(deadline=None)
@given(data=st.binary(max_size=300))
def test_foreign_bytes_are_refused(data):
    with pytest.raises(EncodingError):
        decode_message(data)


@settings(deadline=None)
@given(position=st.integers(0, 150), value=st.integers(0, 255))
def test_damaged_head_is_refused_or_harmless(position, value):
    data = bytearray(encode_message(message(), "topic"))
    data[position] = value
    try:
        got = decode_message(bytes(data))
    except EncodingError:
        return
    assert got.image.nbytes == IMAGES["mono16"].nbytes


VALUES = st.one_of(
    st.none(),
    st.integers(),
    st.floats(),
    st.text(),
    st.lists(st.integers(-1, 20), max_size=4),
    st.just({}),
)


@settings(deadline=None)
@given(
    field=st.sampled_from(
        ["stamp_ns", "modality", "encoding", "shape", "dtype", "sequence", "frame_id"]
    ),
    value=VALUES,
)
def test_foreign_value_in_the_header_is_refused_or_harmless(field, value):
    header = {
        "stamp_ns": 1,
        "modality": "thermal",
        "encoding": "mono8",
        "shape": [4, 5],
        "dtype": "uint8",
        "sequence": 0,
        "frame_id": "",
    }
    try:
        got = decode_message(raw_message(json.dumps({**header, field: value}), bytes(20)))
    except EncodingError:
        return
    assert got.image.size == 20


@pytest.mark.parametrize("header", ["[" * 60_000, "[]", "1", "{}", '{"shape": 1e999}', "\xff", ""])
def test_malformed_header_is_refused(header):
    with pytest.raises(EncodingError, match="malformed header"):
        decode_message(raw_message(header, bytes(20)))


def raw_message(header, pixels):
    data = header.encode("latin-1")
    return b"\0" + struct.pack("<4sBBH", b"FUSE", 1, 0, len(data)) + data + pixels


def test_other_version_is_named():
    data = bytearray(encode_message(message()))
    data[5] = 9
    with pytest.raises(EncodingError, match="version 9"):
        decode_message(bytes(data))


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
