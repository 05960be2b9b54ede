"""Decode video so that a damaged picture is noticed instead of patched up and shown as whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import av
from av.error import FFmpegError

# Without these a decoder shows a damaged picture as if it were whole.
_STRICT: Final = {"err_detect": "crccheck+bitstream+buffer+explode"}
# FFmpeg looks for missing parts of their pictures only when it decodes without threads.
_SINGLE_THREADED: Final = frozenset({"h264"})
_MOST_PENDING: Final = 64  # packets whose picture has not come yet


def make_strict(context: av.VideoCodecContext) -> None:
    """Let a decoder that is not open yet raise for damaged packets."""
    context.options = dict(_STRICT)
    if context.codec.name in _SINGLE_THREADED:
        context.thread_count = 1


class StrictDecoding:
    """Decodes packet by packet, and leaves out the pictures of packets that were refused.

    A decoder may refuse a packet and still give its picture later. Pictures come by ascending time,
    so after damage those that were passed over are known to be lost.
    """

    def __init__(self) -> None:
        self._refused: deque[int] = deque(maxlen=_MOST_PENDING)
        self._pending: deque[int] = deque(maxlen=_MOST_PENDING)
        self._damaged = False

    def decode(
        self, decode: Callable[[], Sequence[object]], time: int | None
    ) -> tuple[list[av.VideoFrame], str]:
        """Decode one packet.

        Args:
            decode: Hands the packet to the decoder.
            time: The packet's presentation time, as its picture will carry it; None if unknown.

        Returns:
            The pictures that are complete now, and what is wrong with the packet, empty when
            nothing is.
        """
        try:
            pictures = [one for one in decode() if isinstance(one, av.VideoFrame)]
        except FFmpegError as error:
            self._damaged = True
            if time is not None:
                self._refused.append(time)
            return [], str(error.strerror)
        if time is not None:
            self._pending.append(time)
        return [one for one in pictures if one.pts not in self._refused], ""

    def passed_over(self, picture: av.VideoFrame) -> list[int]:
        """Return the times of whole packets before a picture whose own pictures never came."""
        time = picture.pts
        if time is None:
            return []
        lost = [one for one in self._pending if one < time] if self._damaged else []
        self._pending = deque((one for one in self._pending if one > time), _MOST_PENDING)
        return lost
