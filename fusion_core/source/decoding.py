"""Decode a video stream picture by picture; a damaged packet costs only itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import av
from av.container import InputContainer
from av.error import InvalidDataError

from fusion_core.transport.strict_decoding import StrictDecoding

_NS: Final = 1_000_000_000
_MOST_FAILED_READS: Final = 100  # in a row: the file cannot be read any further

OnDamage = Callable[[str, int | None], None]


def decode_pictures(
    container: InputContainer,
    stream: av.VideoStream,
    on_damage: OnDamage,
    is_closed: Callable[[], bool],
) -> Iterator[av.VideoFrame]:
    """Yield every whole picture until the end of the stream.

    Packets before the first key frame are no damage: a recording may begin anywhere.

    Args:
        container: Where packets come from.
        stream: The video stream in it.
        on_damage: Called with the reason and the stamp in nanoseconds, None when it is unknown,
            for every packet that cannot be read or decoded and every picture marked as damaged.
        is_closed: Returns whether the container was closed; then the iteration ends.

    Raises:
        FFmpegError: The container cannot be read any further.
    """
    failed_reads = 0
    started = False
    decoding = StrictDecoding()
    packets = container.demux(stream)
    while not is_closed():
        try:
            packet = next(packets, None)
        except InvalidDataError as error:
            failed_reads += 1
            if failed_reads > _MOST_FAILED_READS:
                raise
            on_damage(str(error.strerror), None)
            packets = container.demux(stream)
            continue
        if packet is None:
            return
        failed_reads = 0
        started = started or packet.is_keyframe
        pictures, reason = decoding.decode(packet.decode, packet.pts)
        # The empty packet at the end only empties the decoder.
        if reason and started and packet.size:
            on_damage(reason, nanoseconds(packet))
        for picture in pictures:
            for time in decoding.passed_over(picture):
                lost_ns = None if stream.time_base is None else round(time * stream.time_base * _NS)
                on_damage("it refers to a damaged picture", lost_ns)
            if picture.is_corrupt:
                on_damage("the picture is damaged", nanoseconds(picture))
            else:
                yield picture


def nanoseconds(timed: av.Packet[av.VideoStream] | av.VideoFrame) -> int | None:
    """Return a presentation time, None when there is none."""
    if timed.pts is None or timed.time_base is None:
        return None
    return round(timed.pts * timed.time_base * _NS)
