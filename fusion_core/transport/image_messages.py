"""Image messages of ROS, raw, compressed or as video, to frames; from bags and from live topics."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import EncodingError, UnknownEncodingError
from fusion_core.transport.bit_depth import BitDepth
from fusion_core.transport.capture_stamps import CaptureStamps
from fusion_core.transport.image_codec import decode_compressed, decode_image, to_modality
from fusion_core.transport.message_definitions import COMPRESSED_VIDEO, FFMPEG_PACKET
from fusion_core.transport.video_packets import PacketDecoder, video_codec
from fusion_core.types import CameraModel, Frame, Modality

# A class of rosbags or of ROS, made at run time; both have the fields of the definition.
Message: TypeAlias = Any

IMAGE: Final = "sensor_msgs/msg/Image"
COMPRESSED: Final = "sensor_msgs/msg/CompressedImage"
IMAGE_TYPES: Final = frozenset({IMAGE, COMPRESSED, FFMPEG_PACKET, COMPRESSED_VIDEO})
_NS: Final = 1_000_000_000
_MOST_WAITING: Final = 64  # packets whose picture has not come yet


class ImageMessageDecoder:
    """Turns the messages of one image topic into frames.

    Args:
        modality: What the images show.

    Attributes:
        stamps: Chooses between the header's stamp and reception.
    """

    def __init__(self, modality: Modality) -> None:
        self.stamps = CaptureStamps(modality)
        self._modality: Modality = modality
        self._depth = BitDepth()
        self._video: PacketDecoder | None = None
        self._waiting: OrderedDict[int, Frame] = OrderedDict()
        self._packets = 0

    def decode(
        self,
        message: Message,
        kind: str,
        received_ns: int,
        *,
        sequence: int = 0,
        camera: CameraModel | None = None,
    ) -> list[Frame]:
        """Take one message; return the frames that it completes: one, or for video none or more.

        Args:
            message: The message.
            kind: Its type, one of ``IMAGE_TYPES``.
            received_ns: When it was received or recorded, in nanoseconds.
            sequence: Position of the message in its stream.
            camera: Intrinsics when they are known.

        Raises:
            UnknownEncodingError: Nothing here reads this encoding or codec.
            EncodingError: The message is damaged.
        """
        header_ns, frame_id = header_of(message, kind)
        stamp_ns = self.stamps.stamp_ns(header_ns, received_ns)
        place = Frame(
            stamp_ns,
            self._modality,
            np.empty((0, 0), np.uint8),
            "",
            frame_id,
            sequence,
            camera,
            received_ns=received_ns,
        )
        codec = _codec(message, kind)
        if codec is not None:
            return self._decode_packet(message.data, codec, place)
        if kind == COMPRESSED:
            image, encoding = decode_compressed(
                message.format, message.data, self._modality, self._depth
            )
        else:
            image, encoding = to_modality(
                *decode_image(
                    message.height,
                    message.width,
                    message.encoding,
                    message.step,
                    bool(message.is_bigendian),
                    message.data,
                ),
                self._modality,
                self._depth,
            )
        return [_filled(place, image, encoding, predicted=False)]

    def flush(self) -> list[Frame]:
        """Return the frames of a video that still wait, at the end of a recording.

        Raises:
            EncodingError: They are damaged.
        """
        return [] if self._video is None else self._pictures(self._video, b"", self._packets)

    def reset(self) -> None:
        """Begin a video afresh with its next whole picture, as after packets were left out."""
        self._video = None
        self._waiting.clear()

    def _decode_packet(self, data: Any, codec: str, place: Frame) -> list[Frame]:  # noqa: ANN401 - any buffer
        if self._video is None or self._video.codec != codec:
            self._video = PacketDecoder(codec, self._modality)
            self._waiting.clear()
        if not len(data):
            raise EncodingError(f"{codec} packet is empty")
        self._packets += 1
        self._waiting[self._packets] = place
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.popitem(last=False)
        try:
            return self._pictures(self._video, data, self._packets)
        except EncodingError:
            self._waiting.pop(self._packets, None)
            raise

    def _pictures(self, video: PacketDecoder, data: Any, position: int) -> list[Frame]:  # noqa: ANN401 - any buffer
        frames = []
        for number, image, encoding in video.decode(data, position):
            place = self._waiting.pop(number, None)
            if place is not None:
                frames.append(_filled(place, image, encoding, predicted=True))
        return frames


def header_of(message: Message, kind: str) -> tuple[int, str]:
    """Return a message's stamp in nanoseconds and its frame."""
    if kind == COMPRESSED_VIDEO:
        stamp, frame_id = message.timestamp, message.frame_id
    else:
        stamp, frame_id = message.header.stamp, message.header.frame_id
    return int(stamp.sec) * _NS + int(stamp.nanosec), frame_id


def drop_cause(error: Exception) -> str:
    """Return the cause under which a message that gave no frame is counted."""
    return "unknown_encoding" if isinstance(error, UnknownEncodingError) else "corrupt"


def _codec(message: Message, kind: str) -> str | None:
    """Return the codec of a video packet, None for a single picture.

    Raises:
        UnknownEncodingError: A packet is of no codec known.
    """
    if kind == COMPRESSED:
        codec = video_codec(message.format)
        return None if codec == "mjpeg" else codec
    if kind == IMAGE:
        return None
    name = message.encoding if kind == FFMPEG_PACKET else message.format
    codec = video_codec(name)
    if codec is None:
        raise UnknownEncodingError(f"video codec {name!r} is unknown; use h264 or h265")
    return codec


def _filled(place: Frame, image: NDArray[Any], encoding: str, *, predicted: bool) -> Frame:
    """Return the frame with its picture; one in read-only memory is copied."""
    return replace(
        place,
        # Messages of bags lie in read-only memory; frames are handed to code that expects its own.
        image=np.require(image, requirements=["C", "W"]),
        encoding=encoding,
        predicted=predicted,
    )
