"""MCAP files, read as far as they are whole: unfinished, partly damaged, with foreign channels.

Written from the format's public specification. Only what bags need is read.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rosbags.rosbag2.storage_mcap import DECOMPRESSORS

_MAGIC: Final = b"\x89MCAP0\r\n"
_HEAD: Final = struct.Struct("<BQ")
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK = 0x03, 0x04, 0x05, 0x06
_MESSAGE_INDEX, _CHUNK_INDEX, _STATISTICS, _DATA_END, _FOOTER = 0x07, 0x08, 0x0B, 0x0F, 0x02
_FOOTER_SIZE: Final = 8 + 9 + 20
# A damaged length field must not make the reader allocate what no chunk holds.
_LARGEST_CHUNK: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class McapChannel:
    """One channel.

    Attributes:
        topic: Its topic.
        encoding: How its messages are serialised, such as ``cdr`` or ``json``.
        type_name: Name of the message type, empty without a schema.
        schema_encoding: Language of the definition, such as ``ros2msg``.
        definition: The definition of the type.
    """

    topic: str
    encoding: str
    type_name: str
    schema_encoding: str
    definition: bytes


@dataclass(slots=True)
class _Contents:
    """What is known of a file.

    Attributes:
        schemas: Number -> name, encoding, definition.
        channels: Number -> topic, message encoding, number of the schema.
        chunks: Start of each chunk's record, by the time of its first message.
        loose: Messages outside chunks: time, position in the file, channel.
        counts: Messages by channel, damaged ones included where the file says how many.
        finished: The file has its index at the end.
    """

    schemas: dict[int, tuple[str, str, bytes]] = field(default_factory=dict)
    channels: dict[int, tuple[str, str, int]] = field(default_factory=dict)
    chunks: list[tuple[int, int]] = field(default_factory=list)
    loose: list[tuple[int, int, int]] = field(default_factory=list)
    counts: Counter[int] = field(default_factory=Counter)
    finished: bool = False


class McapFile:
    """One MCAP file.

    Args:
        path: The file.

    Raises:
        ValueError: It is no MCAP file.
        OSError: It cannot be read.

    Attributes:
        finished: Whether the file has its index; one whose recording was killed has none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ValueError("it does not begin as an MCAP file")
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._contents = self._read_index() or self._scan()
        self.finished = self._contents.finished

    @property
    def channels(self) -> dict[int, McapChannel]:
        """The channels by number."""
        schemas = self._contents.schemas
        return {
            number: McapChannel(topic, encoding, *schemas.get(schema, ("", "", b"")))
            for number, (topic, encoding, schema) in self._contents.channels.items()
        }

    def count(self, channel: int) -> int:
        """Return how many messages a channel has, as far as the file says."""
        return self._contents.counts[channel]

    def messages(self, channels: Collection[int]) -> Iterator[tuple[int, int, bytes | None]]:
        """Yield channel, time of recording in nanoseconds and content, by chunk and time.

        A message that is lost in a damaged chunk, as far as its index lists it, is yielded with the
        content None.
        """
        for time, position, channel in sorted(self._contents.loose):
            if channel in channels:
                _, end = self._extent(position)
                yield channel, time, self._data[position + _HEAD.size + 22 : end]
        for _, position in sorted(self._contents.chunks):
            found = [m for m in self._chunk_messages(position) if m[0] in channels]
            yield from sorted(found, key=lambda message: message[1])

    def close(self) -> None:
        """Close the file; may be called twice."""
        self._data.close()

    def _extent(self, position: int) -> tuple[int, int]:
        """Return kind and end of the record at a position.

        Raises:
            ValueError: It reaches beyond the file.
        """
        if position + _HEAD.size > len(self._data):
            raise ValueError("the record's head is cut off")
        kind, size = _HEAD.unpack_from(self._data, position)
        end = position + _HEAD.size + size
        if end > len(self._data) or not kind:
            raise ValueError("the record is cut off")
        return kind, end

    def _records(self, position: int, end: int) -> Iterator[tuple[int, int, bytes]]:
        """Yield kind, position and content of the records of a stretch; long ones without it."""
        while position < end:
            kind, following = self._extent(position)
            short = kind not in {_CHUNK, _MESSAGE, 0x09}
            yield kind, position, self._data[position + _HEAD.size : following] if short else b""
            position = following

    def _read_index(self) -> _Contents | None:
        """Read the index at the end of the file, None where it is missing or of no use."""
        start = len(self._data) - _FOOTER_SIZE
        if start < len(_MAGIC) or self._data[-len(_MAGIC) :] != _MAGIC:
            return None
        contents = _Contents(finished=True)
        total = 0
        try:
            kind, _ = self._extent(start)
            (summary,) = struct.unpack_from("<Q", self._data, start + _HEAD.size)
            if kind != _FOOTER or not len(_MAGIC) < summary < start:
                return None
            for kind, _, content in self._records(summary, start):
                _define(contents, kind, content)
                if kind == _CHUNK_INDEX:
                    first, _, position = struct.unpack_from("<QQQ", content)
                    contents.chunks.append((first, position))
                elif kind == _STATISTICS:
                    (total,) = struct.unpack_from("<Q", content)
                    for at in range(46, len(content) - 9, 10):
                        number, count = struct.unpack_from("<HQ", content, at)
                        contents.counts[number] = count
        except (ValueError, struct.error, UnicodeDecodeError):
            return None
        # Without channels or chunks the index says nothing of messages that there may be.
        return contents if contents.channels and contents.chunks and total else None

    def _scan(self) -> _Contents:
        """Walk over the whole file, as far as it goes."""
        contents = _Contents()
        end = len(self._data)
        with suppress(ValueError):
            for kind, position, content in self._records(len(_MAGIC), end):
                if kind in {_DATA_END, _FOOTER}:
                    contents.finished = True
                    break
                self._scan_record(contents, kind, position, content)
        return contents

    def _scan_record(self, contents: _Contents, kind: int, position: int, content: bytes) -> None:
        if kind == _MESSAGE:
            number, _, time = struct.unpack_from("<HIQ", self._data, position + _HEAD.size)
            contents.loose.append((time, position, number))
            contents.counts[number] += 1
        elif kind == _CHUNK:
            (first,) = struct.unpack_from("<Q", self._data, position + _HEAD.size)
            contents.chunks.append((first, position))
            with suppress(ValueError, struct.error):
                for inner, record in _chunk_records(self._chunk(position)):
                    _define(contents, inner, record)
                    if inner == _MESSAGE:
                        contents.counts[struct.unpack_from("<H", record)[0]] += 1
        else:
            with suppress(ValueError, struct.error):
                _define(contents, kind, content)

    def _chunk(self, position: int) -> bytes:
        """Return a chunk's content, unpacked and checked.

        Raises:
            ValueError: It is damaged.
        """
        kind, end = self._extent(position)
        at = position + _HEAD.size
        try:
            if kind != _CHUNK:
                raise ValueError("no chunk")
            size, check = struct.unpack_from("<16xQI", self._data, at)
            name, at = _text(self._data, at + 28)
            (packed,) = struct.unpack_from("<Q", self._data, at)
            if at + 8 + packed > end or size > _LARGEST_CHUNK:
                raise ValueError("a size is wrong")
            content: bytes = DECOMPRESSORS[name](self._data[at + 8 : at + 8 + packed], size)
        except Exception as error:  # noqa: BLE001 - each decompressor raises its own kinds
            raise ValueError(f"the chunk is damaged: {error}") from None
        if len(content) != size or (check and zlib.crc32(content) != check):
            raise ValueError("the chunk's check sum is wrong")
        return content

    def _chunk_messages(self, position: int) -> list[tuple[int, int, bytes | None]]:
        """Return channel, time and content of a chunk's messages; damaged ones without content."""
        content = b""
        try:
            content = self._chunk(position)
            return [
                _message(record) for kind, record in _chunk_records(content) if kind == _MESSAGE
            ]
        except (ValueError, struct.error):
            return [
                (number, time, _indexed_message(content, number, at))
                for number, time, at in self._index_of(position)
            ]

    def _index_of(self, position: int) -> Iterator[tuple[int, int, int]]:
        """Yield channel, time and place of a chunk's messages, from the index that follows it."""
        with suppress(ValueError, struct.error):
            _, at = self._extent(position)
            for kind, _, content in self._records(at, len(self._data)):
                if kind != _MESSAGE_INDEX:
                    return
                (number,) = struct.unpack_from("<H", content)
                for entry in range(6, len(content) - 15, 16):
                    yield number, *struct.unpack_from("<QQ", content, entry)


def _define(contents: _Contents, kind: int, record: bytes) -> None:
    """Keep a schema or channel record.

    Raises:
        ValueError: Its text is not UTF-8 or cut off.
    """
    if kind == _SCHEMA:
        (number,) = struct.unpack_from("<H", record)
        name, at = _text(record, 2)
        encoding, at = _text(record, at)
        (size,) = struct.unpack_from("<I", record, at)
        contents.schemas[number] = name, encoding, record[at + 4 : at + 4 + size]
    elif kind == _CHANNEL:
        number, schema = struct.unpack_from("<HH", record)
        topic, at = _text(record, 4)
        encoding, _ = _text(record, at)
        contents.channels[number] = topic, encoding, schema


def _text(data: bytes | mmap.mmap, at: int) -> tuple[str, int]:
    """Return a text with its length before it, and where it ends."""
    (size,) = struct.unpack_from("<I", data, at)
    end = at + 4 + size
    return data[at + 4 : end].decode(), end


def _chunk_records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of a chunk's records.

    Raises:
        ValueError: A record reaches beyond the chunk.
    """
    at = 0
    while at < len(content):
        kind, size = _HEAD.unpack_from(content, at)
        end = at + _HEAD.size + size
        if end > len(content):
            raise ValueError("a record is cut off")
        yield kind, content[at + _HEAD.size : end]
        at = end


def _message(record: bytes) -> tuple[int, int, bytes | None]:
    """Return channel, time and content of a message record."""
    number, _, time = struct.unpack_from("<HIQ", record)
    return number, time, record[22:]


def _indexed_message(content: bytes, number: int, at: int) -> bytes | None:
    """Return the content of a message of a damaged chunk, None where it is damaged itself."""
    with suppress(struct.error):
        kind, size = _HEAD.unpack_from(content, at)
        end = at + _HEAD.size + size
        if kind == _MESSAGE and end <= len(content):
            found, _, data = _message(content[at + _HEAD.size : end])
            return data if found == number else None
    return None
