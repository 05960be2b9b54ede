"""Open video files and network streams through PyAV."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.error import FFmpegError, ProtocolNotFoundError
from av.stream import Disposition

from fusion_core.errors import SourceError
from fusion_core.transport.strict_decoding import make_strict

_NETWORK_PYAV = 18
_NETWORK_OPTIONS: Final = {
    # No file protocols: an address must not make a playlist on the far side read local files.
    "protocol_whitelist": (
        "rtsp,rtsps,rtp,srtp,udp,tcp,tls,http,https,httpproxy,crypto,rtmp,rtmps,rtmpt,srt"
    ),
    "rtsp_flags": "prefer_tcp",
    "analyzeduration": "2000000",
}


def open_file(path: Path, *, strict: bool) -> tuple[InputContainer, av.VideoStream]:
    """Open a video file and its first video stream.

    The name is never read as an address: ``concat:a`` is the file of that name, and nothing
    inside the file makes FFmpeg open anything but files.

    Args:
        path: Video file.
        strict: Whether damaged pictures raise errors instead of being patched up by the decoder.

    Raises:
        SourceError: The file is no video, or holds no video stream that can be decoded.
    """
    try:
        # FFmpeg takes an absolute path for a file whatever the name looks like.
        container = av.open(
            str(path.absolute()), options={"protocol_whitelist": "file"}, metadata_errors="replace"
        )
    except (FFmpegError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SourceError(
            f"{path}: cannot be opened as a video ({reason}); it is cut off or of an "
            "unknown kind: copy it again, or convert it with ffmpeg"
        ) from None
    return container, _video_stream(container, str(path), strict=strict)


def open_address(
    url: str, name: str, timeout_s: float, *, strict: bool
) -> tuple[InputContainer, av.VideoStream]:
    """Connect to a network stream and choose its first video stream.

    Args:
        url: Address that FFmpeg can open.
        name: The address for messages, without a password.
        timeout_s: Longest wait for the connection, and for data later.
        strict: As for ``open_file``.

    Raises:
        SourceError: This PyAV is too old or cannot speak the protocol, or there is no video to
            decode.
        FFmpegError: The address cannot be reached now.
    """
    # Older ones end the whole process when a connection fails.
    if int(av.__version__.partition(".")[0]) < _NETWORK_PYAV:
        raise SourceError(
            f"{name}: network streams need PyAV {_NETWORK_PYAV} or newer, found {av.__version__}; "
            f"run: pip install 'av>={_NETWORK_PYAV}', with Python 3.11 or newer"
        )
    try:
        container = av.open(
            url, options=_NETWORK_OPTIONS, timeout=timeout_s, metadata_errors="replace"
        )
    except ProtocolNotFoundError:
        raise SourceError(
            f"{name}: the installed PyAV has no {url.partition(':')[0]}; let the camera send "
            "rtsp, or install a PyAV that was built with it"
        ) from None
    return container, _video_stream(container, name, strict=strict)


def _video_stream(container: InputContainer, name: str, *, strict: bool) -> av.VideoStream:
    """Return the first video stream that is no cover picture.

    Raises:
        SourceError: There is none that can be decoded; the container is closed.
    """
    cover = Disposition.attached_pic
    streams = [one for one in container.streams.video if not one.disposition & cover]
    if not streams:
        container.close()
        raise SourceError(f"{name}: holds no video stream; give a video file")
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        container.close()
        raise SourceError(
            f"{name}: its video codec is unknown; convert it with ffmpeg, for example to H.264"
        )
    if strict:
        make_strict(known[0].codec_context)
    return known[0]
