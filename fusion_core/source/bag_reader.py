"""Messages of one bag of any kind: MCAP by this project's reader, the rest by rosbags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from rosbags.highlevel import AnyReader
from rosbags.rosbag2.storage_mcap import DECOMPRESSORS
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from fusion_core.errors import SourceError
from fusion_core.source.mcap_file import McapChannel, McapFile
from fusion_core.transport.message_definitions import VIDEO_MESSAGES

# rosbags makes its message classes and type stores at run time, from definitions.
_Message: TypeAlias = Any
_Store: TypeAlias = Any
_READABLE: Final = {"cdr", "ros1"}
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
REPAIR: Final = "repair it with `ros2 bag reindex`, `mcap recover` or `rosbag reindex`"


@dataclass(frozen=True, slots=True)
class BagMessage:
    """One message of a bag.

    Attributes:
        type_name: Its type, such as ``sensor_msgs/msg/Image``.
        log_ns: When it was recorded, in nanoseconds.
        content: The message, None when it is damaged.
        problem: Why it is damaged, empty when it is not.
    """

    type_name: str
    log_ns: int
    content: _Message | None
    problem: str = ""


class BagReader(Protocol):
    """Reads one bag.

    Attributes:
        types: Topic -> message type, of what can be read.
        counts: Messages by topic.
        foreign: Channels that are passed over, with their serialisation.
        finished: Whether the bag was closed by its recorder.
    """

    types: dict[str, str]
    counts: Mapping[str, int]
    foreign: dict[str, str]
    finished: bool

    def messages(self, *topics: str) -> Iterator[BagMessage]:
        """Yield the messages of topics in order of recording.

        Raises:
            Exception: Of any kind: what follows cannot be read.
        """
        ...

    def close(self) -> None:
        """Close the bag; may be called twice."""
        ...


def open_reader(path: Path) -> BagReader:
    """Open a bag.

    Args:
        path: ROS 1 ``.bag``, rosbag2 folder, or a storage file of one.

    Raises:
        SourceError: It is no bag, or too damaged.
    """
    files = _mcap_files(path)
    if files:
        return McapBagReader(path, files)
    return RosbagsReader(_storage(path))


class McapBagReader:
    """One or more MCAP files; see ``BagReader``.

    Args:
        path: The bag, for messages.
        files: Its files.

    Raises:
        SourceError: A file is no MCAP file, or none holds a channel.
    """

    def __init__(self, path: Path, files: list[Path]) -> None:
        self._files: list[McapFile] = []
        try:
            for file in files:
                self._files.append(_opened(file))
        except SourceError:
            self.close()
            raise
        self._decoders: dict[McapChannel, Callable[[bytes], _Message]] = {}
        counts: Counter[str] = Counter()
        self.types: dict[str, str] = {}
        self.foreign: dict[str, str] = {}
        self.finished = all(opened.finished for opened in self._files)
        for opened in self._files:
            for number, channel in opened.channels.items():
                if channel.encoding not in _READABLE:
                    self.foreign[channel.topic] = channel.encoding
                    continue
                counts[channel.topic] += opened.count(number)
                self.types[channel.topic] = _full_name(channel.type_name)
        self.counts: Mapping[str, int] = counts
        if not self.types and not self.foreign:
            self.close()
            raise SourceError(
                f"{path}: cannot be opened as a bag (no channel is whole); if recording was cut "
                f"off, {REPAIR}"
            )

    def messages(self, *topics: str) -> Iterator[BagMessage]:
        """Yield the messages of topics in order of recording."""
        for file in self._files:
            channels = {
                number: channel
                for number, channel in file.channels.items()
                if channel.topic in topics and channel.encoding in _READABLE
            }
            for number, log_ns, raw in file.messages(channels):
                yield self._decoded(channels[number], log_ns, raw)

    def close(self) -> None:
        """Close the files; may be called twice."""
        for file in self._files:
            file.close()

    def _decoded(self, channel: McapChannel, log_ns: int, raw: bytes | None) -> BagMessage:
        name = _full_name(channel.type_name)
        if raw is None:
            return BagMessage(name, log_ns, None, "its chunk is damaged")
        try:
            if channel not in self._decoders:
                self._decoders[channel] = _decoder(channel)
            if raw.startswith(_ZSTD):
                raw = DECOMPRESSORS["zstd"](raw, 0)
            return BagMessage(name, log_ns, self._decoders[channel](raw))
        except Exception as error:  # noqa: BLE001 - a damaged message raises errors of many kinds
            return BagMessage(name, log_ns, None, reason_of(error))


class RosbagsReader:
    """A bag that rosbags reads; see ``BagReader``.

    Args:
        path: The bag.

    Raises:
        SourceError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        try:
            # Old rosbag2 files hold no definitions; those used here are the same everywhere.
            self._reader: AnyReader | None = AnyReader([path], default_typestore=_default_store())
            self._reader.open()
        except Exception as error:
            raise SourceError(
                f"{path}: cannot be opened as a bag ({reason_of(error)}); if recording was cut "
                f"off, {REPAIR}"
            ) from error
        self.finished = True
        self.foreign: dict[str, str] = {}
        counts: Counter[str] = Counter()
        self.types: dict[str, str] = {}
        for connection in self._reader.connections:
            counts[connection.topic] += connection.msgcount
            self.types[connection.topic] = connection.msgtype
        self.counts: Mapping[str, int] = counts

    def messages(self, *topics: str) -> Iterator[BagMessage]:
        """Yield the messages of topics in order of recording."""
        reader = self._reader
        if reader is None:
            return
        connections = [c for c in reader.connections if c.topic in topics]
        for connection, log_ns, raw in reader.messages(connections):
            name = connection.msgtype
            try:
                message = BagMessage(name, log_ns, reader.deserialize(raw, name))
            except Exception as error:  # noqa: BLE001 - a damaged message raises errors of many kinds
                message = BagMessage(name, log_ns, None, reason_of(error))
            yield message

    def close(self) -> None:
        """Close the bag; may be called twice."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


def reason_of(error: Exception) -> str:
    """Return an error's text as one line, its kind where it has none."""
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _opened(file: Path) -> McapFile:
    try:
        return McapFile(file)
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{file}: cannot be opened as a bag ({reason_of(error)}); if recording was cut off, "
            f"{REPAIR}"
        ) from None


def _mcap_files(path: Path) -> list[Path]:
    """Return the MCAP files of a bag in order of recording, none for bags of another kind."""
    if not path.is_dir():
        return [path] if path.suffix == ".mcap" else []
    files = [p for p in path.glob("*.mcap") if not p.name.startswith(".")]
    # Recorders number the files: out_2.mcap comes before out_10.mcap.
    return sorted(files, key=lambda p: (len(p.name), p.name))


def _storage(path: Path) -> Path:
    """Return what to open: a folder that lost its metadata still holds its one storage file."""
    if not path.is_dir() or (path / "metadata.yaml").exists():
        return path
    files = sorted(p for p in path.iterdir() if p.suffix in {".db3", ".bag"})
    if len(files) == 1:
        return files[0]
    raise SourceError(
        f"{path}: not a bag, it has no metadata.yaml; give a rosbag2 folder, a .bag or an .mcap, "
        "or run `ros2 bag reindex`"
    )


def _default_store() -> _Store:
    store = get_typestore(Stores.ROS2_JAZZY)
    for name, definition in VIDEO_MESSAGES.items():
        store.register(get_types_from_msg(definition, name))
    return store


def _full_name(name: str) -> str:
    """Return a type's name as ROS 2 writes it: ``sensor_msgs/Image`` has no ``msg``."""
    package, _, rest = name.partition("/")
    return name if not rest or "/" in rest else f"{package}/msg/{rest}"


def _decoder(channel: McapChannel) -> Callable[[bytes], _Message]:
    """Return what turns a channel's bytes into messages, by the definition in the file."""
    name = _full_name(channel.type_name)
    ros1 = channel.encoding == "ros1"
    store = get_typestore(Stores.EMPTY)
    try:
        definition = channel.definition.decode()
        idl = channel.schema_encoding == "ros2idl"
        store.register(_idl_types(definition) if idl else get_types_from_msg(definition, name))
        store.types[name]
    except Exception:  # noqa: BLE001 - no or no usable definition: the types are the usual ones
        store = get_typestore(Stores.ROS1_NOETIC) if ros1 else _default_store()
    if ros1:
        return lambda raw: store.deserialize_ros1(raw, name)
    return lambda raw: store.deserialize_cdr(raw, name)


def _idl_types(definition: str) -> dict[str, Any]:
    separator = "=" * 80 + "\n"
    if not definition.startswith(f"{separator}IDL: "):
        return dict(get_types_from_idl(definition))
    types: dict[str, Any] = {}
    for part in definition.split(separator)[1:]:
        types |= get_types_from_idl(part.split("\n", 1)[1])
    return types
