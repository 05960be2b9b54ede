"""Packets of compressed video, as messages carry them, to pictures."""

from __future__ import annotations

import re
from typing import Any, Final, cast

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from fusion_core.errors import EncodingError, UnknownEncodingError
from fusion_core.transport.image_codec import to_modality
from fusion_core.types import Modality

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

    Pictures may come some packets later than their packet, as codecs with reordering need. After a
    damaged packet, pictures that refer to it are refused until the next whole one.

    Args:
        codec: FFmpeg's name of the codec.
        modality: What the pictures show; see ``to_modality``.

    Raises:
        UnknownEncodingError: FFmpeg has no such decoder.
    """

    def __init__(self, codec: str, modality: Modality) -> None:
        try:
            context = cast("av.VideoCodecContext", av.CodecContext.create(codec, "r"))
        except (FFmpegError, ValueError) as error:
            raise UnknownEncodingError(
                f"video codec {codec!r} cannot be decoded: {error}"
            ) from None
        # One packet in, one picture out: threads by frame would hold back one picture each.
        context.thread_type = "SLICE"
        self._context = context
        self._modality: Modality = modality
        self.codec = codec

    def decode(self, data: Any, position: int) -> list[tuple[int, NDArray[Any], str]]:  # noqa: ANN401 - any buffer
        """Take one packet; return the pictures that it completes.

        Args:
            data: The packet's bytes, as any buffer; empty bytes end the stream.
            position: A number of the packet's own.

        Returns:
            For each picture the position of its packet, the image and its encoding.

        Raises:
            EncodingError: The packet is damaged, or refers to pictures that are missing.
        """
        raw = bytes(data)
        try:
            packet = None
            if raw:
                packet = av.Packet(raw)
                packet.pts = packet.dts = position
            pictures = self._context.decode(packet)
        except FFmpegError as error:
            raise EncodingError(
                f"{self.codec} packet of {len(raw)} bytes cannot be decoded ({error.strerror})"
            ) from None
        if any(picture.is_corrupt for picture in pictures):
            raise EncodingError(f"{self.codec} picture refers to a damaged or missing one")
        return [(position if p.pts is None else int(p.pts), *self._image(p)) for p in pictures]

    def _image(self, picture: av.VideoFrame) -> tuple[NDArray[Any], str]:
        """Return a picture as its stream has it inside."""
        component = picture.format.components[0]
        if self._modality == "thermal" and component.bits > 8:
            name = picture.format.name
            gray = picture if name.startswith("gray") else picture.reformat(format="gray16le")
            image = gray.to_ndarray()
            return image.astype(np.uint16, copy=False), "mono16"
        return to_modality(picture.to_ndarray(format="rgb24"), "rgb8", self._modality)
