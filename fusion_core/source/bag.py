"""ROS 1 and ROS 2 bags, read in order of recording without a ROS installation."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from fusion_core.errors import EncodingError, SourceError
from fusion_core.runtime.drop_log import DropLog
from fusion_core.source.bag_reader import (
    REPAIR,
    BagMessage,
    BagReader,
    open_reader,
    reason_of,
)
from fusion_core.source.topics import (
    CAMERA_INFO,
    camera_info_topic,
    choose_topics,
    exposure_topic,
)
from fusion_core.transport.camera_info import camera_from_info
from fusion_core.transport.exposure import (
    EXPOSURE_TYPES,
    ExposureMatcher,
    exposed_at_ns,
    message_exposure_s,
)
from fusion_core.transport.image_messages import ImageMessageDecoder, drop_cause, header_of
from fusion_core.transport.transforms import TF_MESSAGES, TF_STATIC
from fusion_core.types import CameraModel, Frame, Modality

_log = logging.getLogger(__name__)


def open_bag(path: Path, visible_topic: str | None, thermal_topic: str | None) -> list[BagStream]:
    """Open both streams of a bag.

    Args:
        path: ROS 1 ``.bag``, rosbag2 folder, or a storage file of one. An unfinished MCAP file is
            read as far as it goes, with a warning.
        visible_topic: Topic of the visible images, found by type and name when None.
        thermal_topic: The same for the thermal images.

    Raises:
        SourceError: The bag is torn or lacks the topics.
    """
    reader = open_reader(path)
    try:
        filled = {topic: kind for topic, kind in reader.types.items() if reader.counts[topic]}
        try:
            topics = choose_topics(filled, visible_topic, thermal_topic)
        except SourceError as error:
            raise SourceError(f"{path}: {error}{_passed_over(reader)}") from None
        cameras = {modality: _camera(reader, path, topic) for modality, topic in topics.items()}
        counts = {topic: reader.counts[topic] for topic in topics.values()}
        exposures = exposure_topic(topics["visible"], filled)
        if not reader.finished:
            _log.warning(
                "%s: recording was cut off: read as far as it goes; %s to have its index",
                path,
                REPAIR,
            )
    finally:
        reader.close()
    return [
        BagStream(
            path,
            topic,
            modality,
            counts[topic],
            cameras[modality],
            exposures=exposures if modality == "visible" else None,
        )
        for modality, topic in topics.items()
    ]


class BagStream:
    """One image topic of a bag; see ``RecordedStream``.

    Stamps are those of ``CaptureStamps``, reception being the time of recording. A message that
    is damaged or cannot be understood is left out and counted.

    Args:
        path: The bag.
        topic: Image topic in it.
        modality: What the images show.
        count: Messages on the topic.
        camera: Intrinsics of the camera when known.
        exposures: Topic that states the exposure times, None without one.
    """

    def __init__(
        self,
        path: Path,
        topic: str,
        modality: Modality,
        count: int,
        camera: CameraModel | None,
        *,
        exposures: str | None = None,
    ) -> None:
        self.total = count if modality == "visible" else None
        self.drop_log = DropLog()
        self._path = path
        self._topic = topic
        self._exposures = exposures
        self._modality: Modality = modality
        self._camera = camera
        self._decoder = ImageMessageDecoder(modality)
        self._reason = ""
        self._reader: BagReader | None = None
        self._closed = False

    def frames(self) -> Iterator[Frame]:
        """Decode message by message.

        Raises:
            SourceError: The bag is torn, or no message could be understood.
        """
        given = 0
        if self._closed:
            return
        # A reader of its own: two readings of one file would move each other's position, and some
        # storages belong to the thread that opened them.
        self._reader = open_reader(self._path)
        matcher = ExposureMatcher()
        for frame in self._completed(self._reader, matcher):
            given += 1
            yield frame
        for frame in [*matcher.take_waiting(), *self._last_frames()]:
            given += 1
            yield frame
        if self._reason and not given:
            raise SourceError(f"{self._path}: {self._topic}: no frame is usable: {self._reason}")

    def _completed(self, reader: BagReader, matcher: ExposureMatcher) -> Iterator[Frame]:
        """Yield the frames, with their exposure times where another topic states them."""
        index = 0
        for message in self._messages(reader):
            if message.type_name in EXPOSURE_TYPES:
                if message.content is not None:
                    seconds = message_exposure_s(message.content, message.type_name)
                    yield from matcher.add_exposure(exposed_at_ns(message.content), seconds)
                continue
            for frame in self._decoded(message, index):
                yield from matcher.add_frame(frame)
            index += 1

    def transforms(self) -> Iterator[object]:
        """Yield the messages of ``/tf_static``; those that are damaged are passed over."""
        reader = open_reader(self._path)
        try:
            if reader.types.get(TF_STATIC) in TF_MESSAGES:
                yield from filter(None, (entry.content for entry in reader.messages(TF_STATIC)))
        except Exception as error:
            raise SourceError(
                f"{self._path}: {TF_STATIC}: cannot be read ({reason_of(error)})"
            ) from error
        finally:
            reader.close()

    def close(self) -> None:
        """Close the bag."""
        self._closed = True
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _decoded(self, message: BagMessage, index: int) -> list[Frame]:
        """Return the frames that a message completes; a damaged one is counted."""
        content, kind = message.content, message.type_name
        if content is None:
            self._leave_out("corrupt", message.log_ns, f"a damaged message ({message.problem})")
            return []
        try:
            return self._decoder.decode(
                content, kind, message.log_ns, sequence=index, camera=self._camera
            )
        except EncodingError as error:
            stamp_ns = header_of(content, kind)[0] or message.log_ns
            self._leave_out(drop_cause(error), stamp_ns, str(error))
        except Exception as error:  # noqa: BLE001 - a message of odd content is one message lost
            self._leave_out("corrupt", message.log_ns, f"a damaged message ({reason_of(error)})")
        return []

    def _last_frames(self) -> list[Frame]:
        """Return the frames of a video that come after its last packet."""
        try:
            return self._decoder.flush()
        except EncodingError as error:
            self._leave_out("corrupt", None, str(error))
            return []

    def _leave_out(self, cause: str, stamp_ns: int | None, reason: str) -> None:
        """Count a message; the first of each cause is logged."""
        if cause not in self.drop_log.by_cause():
            _log.warning("%s: %s: left out: %s", self._path, self._topic, reason)
        self.drop_log.record_drop(self._modality, cause, stamp_ns)
        self._reason = self._reason or reason

    def _messages(self, reader: BagReader) -> Iterator[BagMessage]:
        count = 0
        try:
            topics = [self._topic, *([self._exposures] if self._exposures else [])]
            for message in reader.messages(*topics):
                yield message
                count += message.type_name not in EXPOSURE_TYPES
        except Exception as error:
            # Storage plugins and decompressors each raise their own kinds.
            raise SourceError(
                f"{self._path}: {self._topic}: torn at frame {count} ({reason_of(error)}); the "
                f"frames before were used: {REPAIR}"
            ) from error


def _passed_over(reader: BagReader) -> str:
    """Return what to add to an error where channels of other serialisations were passed over."""
    if not reader.foreign:
        return ""
    names = ", ".join(f"{topic} ({encoding})" for topic, encoding in sorted(reader.foreign.items()))
    return f"; channels that are no ROS messages were passed over: {names}"


def _camera(reader: BagReader, path: Path, image_topic: str) -> CameraModel | None:
    """Return the intrinsics that go with an image topic, None when absent or not calibrated."""
    topic = camera_info_topic(image_topic)
    if reader.types.get(topic) != CAMERA_INFO:
        return None
    try:
        for message in reader.messages(topic):
            if message.content is not None:
                return camera_from_info(message.content)
    except Exception as error:
        raise SourceError(f"{path}: {topic}: cannot be read ({reason_of(error)})") from error
    return None
