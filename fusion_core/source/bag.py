"""ROS 1 and ROS 2 bags, read in order of capture without a ROS installation."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from fusion_core.errors import EncodingError, SourceError
from fusion_core.runtime.drop_log import DropLog
from fusion_core.source.topics import (
    CAMERA_INFO,
    COMPRESSED,
    camera_info_topic,
    choose_topics,
)
from fusion_core.transport.camera_info import camera_from_info
from fusion_core.transport.image_codec import (
    KNOWN_ENCODINGS,
    decode_compressed,
    decode_image,
    to_modality,
)
from fusion_core.types import CameraModel, Frame, Modality

# rosbags makes its message classes at run time, from their definitions.
_Message: TypeAlias = Any

_log = logging.getLogger(__name__)
_NS = 1_000_000_000
_REPAIR = "repair it with `ros2 bag reindex`, `mcap recover` or `rosbag reindex`"


def open_bag(path: Path, visible_topic: str | None, thermal_topic: str | None) -> list[BagStream]:
    """Open both streams of a bag.

    Args:
        path: ROS 1 ``.bag``, rosbag2 folder, or a storage file of one.
        visible_topic: Topic of the visible images, found by type and name when None.
        thermal_topic: The same for the thermal images.

    Raises:
        SourceError: The bag is torn or lacks the topics.
    """
    path = _storage(path)
    reader = _open_reader(path)
    try:
        counts: Counter[str] = Counter()
        types: dict[str, str] = {}
        for connection in reader.connections:
            counts[connection.topic] += connection.msgcount
            types[connection.topic] = connection.msgtype
        filled = {topic: kind for topic, kind in types.items() if counts[topic]}
        try:
            topics = choose_topics(filled, visible_topic, thermal_topic)
        except SourceError as error:
            raise SourceError(f"{path}: {error}") from None
        cameras = {modality: _camera(reader, path, topic) for modality, topic in topics.items()}
    finally:
        reader.close()
    return [
        BagStream(path, topic, modality, counts[topic], cameras[modality])
        for modality, topic in topics.items()
    ]


class BagStream:
    """One image topic of a bag; see ``RecordedStream``.

    Stamps are those of the message headers; where a header has none, the time of recording.
    A message that cannot be understood is left out and counted.

    Args:
        path: The bag.
        topic: Image topic in it.
        modality: What the images show.
        count: Messages on the topic.
        camera: Intrinsics of the camera when known.
    """

    def __init__(
        self, path: Path, topic: str, modality: Modality, count: int, camera: CameraModel | None
    ) -> None:
        self.total = count if modality == "visible" else None
        self.drop_log = DropLog()
        self._path = path
        self._topic = topic
        self._modality: Modality = modality
        self._camera = camera
        # A reader of its own: two readings of one file would move each other's position.
        self._reader: AnyReader | None = _open_reader(path)

    def frames(self) -> Iterator[Frame]:
        """Decode message by message.

        Raises:
            SourceError: The bag is torn, or no message could be understood.
        """
        given = 0
        reason = ""
        for index, (message, kind, log_ns) in enumerate(self._messages()):
            header = message.header
            stamp_ns = header.stamp.sec * _NS + header.stamp.nanosec or log_ns
            try:
                image, encoding = _decode(message, kind, self._modality)
            except EncodingError as error:
                cause = _cause(message, kind)
                if cause not in self.drop_log.by_cause():
                    _log.warning("%s: %s: left out: %s", self._path, self._topic, error)
                self.drop_log.record_drop(self._modality, cause, stamp_ns)
                reason = reason or str(error)
                continue
            given += 1
            yield Frame(
                stamp_ns,
                self._modality,
                # Messages lie in read-only memory; frames are handed to code that expects its own.
                np.require(image, requirements=["C", "W"]),
                encoding,
                header.frame_id,
                index,
                self._camera,
            )
        if reason and not given:
            raise SourceError(f"{self._path}: {self._topic}: no frame is usable: {reason}")

    def close(self) -> None:
        """Close the bag."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _messages(self) -> Iterator[tuple[_Message, str, int]]:
        """Yield messages, their type and time of recording in nanoseconds."""
        count = 0
        reader = self._reader
        if reader is None:
            return
        try:
            connections = [c for c in reader.connections if c.topic == self._topic]
            for connection, log_ns, raw in reader.messages(connections):
                yield reader.deserialize(raw, connection.msgtype), connection.msgtype, log_ns
                count += 1
        except Exception as error:
            # Storage plugins and decompressors each raise their own kinds.
            raise SourceError(
                f"{self._path}: {self._topic}: torn at frame {count} ({_reason(error)}); the "
                f"frames before were used: {_REPAIR}"
            ) from error


def _decode(message: _Message, kind: str, modality: Modality) -> tuple[NDArray[Any], str]:
    if kind == COMPRESSED:
        return decode_compressed(message.format, message.data, modality)
    image, encoding = decode_image(
        message.height,
        message.width,
        message.encoding,
        message.step,
        message.is_bigendian,
        message.data,
    )
    return to_modality(image, encoding, modality)


def _cause(message: _Message, kind: str) -> str:
    unknown = kind != COMPRESSED and message.encoding not in KNOWN_ENCODINGS
    return "unknown_encoding" if unknown else "corrupt"


def _storage(path: Path) -> Path:
    """Return what to open: a folder that lost its metadata still holds its one storage file."""
    if not path.is_dir() or (path / "metadata.yaml").exists():
        return path
    files = sorted(p for p in path.iterdir() if p.suffix in {".mcap", ".db3", ".bag"})
    if len(files) == 1:
        return files[0]
    raise SourceError(
        f"{path}: not a bag, it has no metadata.yaml; give a rosbag2 folder, a .bag or an .mcap, "
        "or run `ros2 bag reindex`"
    )


def _open_reader(path: Path) -> AnyReader:
    reader = None
    try:
        # Old rosbag2 files hold no message definitions; those used here are the same everywhere.
        reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY))
        reader.open()
    except Exception as error:
        raise SourceError(
            f"{path}: cannot be opened as a bag ({_reason(error)}); if recording was cut off, "
            f"{_REPAIR}"
        ) from error
    return reader


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _camera(reader: AnyReader, path: Path, image_topic: str) -> CameraModel | None:
    """Return the intrinsics that go with an image topic, None when absent or not calibrated."""
    topic = camera_info_topic(image_topic)
    connections = [c for c in reader.connections if c.topic == topic and c.msgtype == CAMERA_INFO]
    if not connections:
        return None
    try:
        for connection, _, raw in reader.messages(connections):
            return camera_from_info(reader.deserialize(raw, connection.msgtype))
    except Exception as error:
        raise SourceError(f"{path}: {topic}: cannot be read ({_reason(error)})") from error
    return None
