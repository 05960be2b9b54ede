"""Packets of compressed video, as messages carry them, to pictures."""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias, cast

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from fusion_core.errors import EncodingError, UnknownEncodingError
from fusion_core.transport.image_codec import to_modality
from fusion_core.transport.strict_decoding import StrictDecoding, make_strict
from fusion_core.types import Modality

Picture: TypeAlias = tuple[int, NDArray[Any], str]
# Packets without a whole picture at the start; predicted ones may only lack their key frame.
_MOST_FAILED_SINGLE: Final = 8
_MOST_FAILED_PREDICTED: Final = 64
_CODECS: Final = (
    (re.compile(r"h\.?265|x265|hevc"), "hevc"),
    (re.compile(r"h\.?264|x264|avc"), "h264"),
    (re.compile(r"av1|aom"), "av1"),
    (re.compile(r"vp9"), "vp9"),
    (re.compile(r"vp8|vpx"), "vp8"),
    (re.compile(r"ffv1"), "ffv1"),
    (re.compile(r"mpeg4"), "mpeg4"),
    (re.compile(r"mjpe?g"), "mjpeg"),
)


def video_codec(name: str) -> str | None:
    """Return FFmpeg's decoder for the name of an encoder, codec or format, None for no video.

    Args:
        name: Such as ``libx264``, ``hevc_nvenc;yuv420p;bgr8`` or ``h265``.
    """
    return next((codec for pattern, codec in _CODECS if pattern.search(name.lower())), None)


class PacketDecoder:
    """Decodes the packets of one video stream.

    Pictures may come some packets later than their packet, as codecs with reordering need. The
    picture of a damaged packet is left out, even where the decoder would patch it up; those up to
    the next key frame may show traces. A stream that has no whole picture at all, as from cameras
    that stop sending too early, is shown as players do.

    Args:
        codec: FFmpeg's name of the codec.
        modality: What the pictures show; see ``to_modality``.

    Raises:
        UnknownEncodingError: FFmpeg has no such decoder.
    """

    def __init__(self, codec: str, modality: Modality) -> None:
        self._modality: Modality = modality
        self.codec = codec
        self._context = self._open(strict=True)
        self._decoding = StrictDecoding()
        self._kept: list[Picture] = []  # came with a damaged packet, not returned yet
        self._failed_first: int | None = 0  # before the first whole picture, None after

    def decode(self, data: Any, position: int) -> list[Picture]:  # noqa: ANN401 - any buffer
        """Take one packet; return the pictures that it completes.

        Args:
            data: The packet's bytes, as any buffer; empty bytes end the stream.
            position: A number of the packet's own.

        Returns:
            For each picture the position of its packet, the image and its encoding.

        Raises:
            EncodingError: The packet is damaged, or refers to pictures that are missing. Whole
                pictures that it completes are returned with the next packet.
        """
        raw = bytes(data)
        packet = None
        if raw:
            # Decoders read some bytes further than a packet goes. In a packet that FFmpeg has made
            # these are zeros; beyond bytes of Python's may be anything, damage to strict decoders.
            packet = av.Packet(len(raw))
            packet.update(raw)
            packet.pts = packet.dts = position
        pictures, reason = self._decoding.decode(lambda: self._context.decode(packet), position)
        for picture in pictures:
            if picture.is_corrupt:
                reason = "a picture that it refers to is damaged or missing"
                continue
            time = position if picture.pts is None else int(picture.pts)
            self._kept.append((time, *self._image(picture)))
        if reason and raw:  # the end of the stream only empties the decoder
            self._count_failure()
            raise EncodingError(
                f"{self.codec} packet of {len(raw)} bytes cannot be decoded ({reason})"
            )
        kept, self._kept = self._kept, []
        if kept:
            self._failed_first = None
        return kept

    def _open(self, *, strict: bool) -> av.VideoCodecContext:
        try:
            context = cast("av.VideoCodecContext", av.CodecContext.create(self.codec, "r"))
        except (FFmpegError, ValueError) as error:
            raise UnknownEncodingError(
                f"video codec {self.codec!r} cannot be decoded: {error}"
            ) from None
        # One packet in, one picture out: threads by frame would hold back one picture each.
        context.thread_type = "SLICE"
        if strict:
            make_strict(context)
        return context

    def _count_failure(self) -> None:
        """Decode leniently where nothing so far is whole."""
        if self._failed_first is None:
            return
        self._failed_first += 1
        limit = _MOST_FAILED_SINGLE if self._context.codec.intra_only else _MOST_FAILED_PREDICTED
        if self._failed_first == limit:
            self._context = self._open(strict=False)

    def _image(self, picture: av.VideoFrame) -> tuple[NDArray[Any], str]:
        """Return a picture as its stream has it inside."""
        component = picture.format.components[0]
        if self._modality == "thermal" and component.bits > 8:
            name = picture.format.name
            gray = picture if name.startswith("gray") else picture.reformat(format="gray16le")
            image = gray.to_ndarray()
            return image.astype(np.uint16, copy=False), "mono16"
        return to_modality(picture.to_ndarray(format="rgb24"), "rgb8", self._modality)
