import json
import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_core.errors import EncodingError
from fusion_core.transport import calls
from fusion_core.transport.calls import Kind, Message, VersionError, decode_call, encode_call

MESSAGE = Message(
    Kind.CALL,
    7,
    {"stamp_ns": 5},
    {"image": np.arange(6, dtype=np.uint8).reshape(1, 2, 3), "none": np.zeros(0, np.float64)},
)


def by_hand(text, body=b"", version=65, kind=2, magic=b"FUSE", number=7, stated=None):
    """A message written down from the documented layout."""
    size = len(text) if stated is None else stated
    return struct.pack("<4sBBHQI12x", magic, version, kind, 0, number, size) + text + body


def test_the_layout_is_the_documented_one():
    text = json.dumps(
        {"stamp_ns": 5, "arrays": [["image", "uint8", [1, 2, 3]], ["none", "float64", [0]]]},
        separators=(",", ":"),
    ).encode()
    start = 32 + len(text)
    first = b"\0" * (-start % 16) + bytes(range(6))
    second = b"\0" * (-(start + len(first)) % 16)
    assert bytes(encode_call(MESSAGE)) == by_hand(text, first + second)


def test_what_is_sent_arrives():
    found = decode_call(encode_call(MESSAGE))
    assert (found.kind, found.number, found.text) == (Kind.CALL, 7, {"stamp_ns": 5})
    assert found.arrays.keys() == MESSAGE.arrays.keys()
    for name, array in MESSAGE.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        assert np.array_equal(found.arrays[name], array)


@pytest.mark.parametrize("kind", ["uint8", "bool", "float32", "float64", "int64"])
def test_numbers_keep_their_bits(kind):
    values = np.array([[0, 1], [1, 0]]).astype(kind)
    values = values + np.pi if kind.startswith("float") else values
    values = values.astype(kind)
    sent = Message(Kind.RESULT, 1, {}, {"a": values.T})
    found = decode_call(encode_call(sent)).arrays["a"]
    assert found.tobytes() == np.ascontiguousarray(values.T).tobytes()


def test_another_version_says_which_end_to_update():
    with pytest.raises(VersionError, match="version 66, this is version 65: update the older"):
        decode_call(by_hand(b"{}", version=66))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: robot\r\n\r\n" + b"x" * 40,
        by_hand(b'{"arrays":[]}', magic=b"EVIL"),
        by_hand(b"{}"),
        by_hand(b"[]"),
        by_hand(b"\xff\xfe"),
        by_hand(b'{"arrays":[]}', kind=9),
        by_hand(b'{"arrays":[]}', b"more"),
        by_hand(b'{"arrays":[]}', stated=1 << 31),
        by_hand(b'{"arrays":[["a","uint8",[64]]]}'),
        by_hand(b'{"arrays":[["a","uint8",[-1]]]}'),
        by_hand(b'{"arrays":[["a","uint8",[0,1e9]]]}'),
        by_hand(b'{"arrays":[["a","uint8",[0,99999999999999999999]]]}'),
        by_hand(b'{"arrays":[["a","object",[0]]]}'),
        by_hand(b'{"arrays":[["a",[],[0]]]}'),
        by_hand(b'{"arrays":[["a","uint8",[0,0,0,0,0]]]}'),
        by_hand(b'{"arrays":[1]}'),
        by_hand(b'{"arrays":' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
        by_hand(json.dumps({"arrays": [["a", "uint8", [0]]] * 17}).encode()),
    ],
)
def test_what_is_malformed_is_refused(data):
    with pytest.raises(EncodingError):
        decode_call(data)


@given(st.binary(max_size=200), st.integers(0, 100))
def test_damaged_bytes_are_refused_or_read_and_nothing_else(noise, place):
    data = encode_call(MESSAGE)
    data[place : place + len(noise)] = noise
    with suppress(EncodingError):
        decode_call(data)


def test_what_is_too_large_is_not_sent(monkeypatch):
    monkeypatch.setattr(calls, "MAX_CALL_BYTES", 1000)
    with pytest.raises(EncodingError, match="at most 1000"):
        encode_call(Message(Kind.CALL, 1, {}, {"a": np.zeros(1000, np.uint8)}))


def test_objects_are_not_sent():
    with pytest.raises(EncodingError, match="object"):
        encode_call(Message(Kind.CALL, 1, {}, {"a": np.array([print])}))
