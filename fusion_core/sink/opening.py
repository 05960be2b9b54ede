"""From what a user names to a sink."""

from __future__ import annotations

from pathlib import Path

from fusion_core.errors import UsageError
from fusion_core.sink.base import Sink

_FORMS = (
    "FILE.mp4 or FILE.mkv, a folder ending in / (PNG per frame), FILE.jsonl, bag:DIR (rosbag2) or "
    "zmq://host:port/topic"
)
_BAG = "bag:"


def open_sink(dst: str, *, overlay: bool = False) -> Sink:
    """Open one output; videos and JSON lines replace an old file, bags refuse to.

    Args:
        dst: ``*.mp4``, ``*.mkv``, ``*.jsonl``, a folder ending in ``/``, ``bag:DIR`` or
            ``zmq://host:port/topic``.
        overlay: Whether videos show what the detector found.

    Returns:
        A sink; use it as a context manager.

    Raises:
        UsageError: The form is unknown.
        SinkError: The output cannot be created, or the bag's folder exists.
    """
    if dst.startswith("zmq://"):
        from fusion_core.sink.wire import WireSink

        return WireSink(dst)
    if dst.startswith(_BAG) and len(dst) > len(_BAG):
        from fusion_core.sink.bag import BagSink

        return BagSink(Path(dst[len(_BAG) :]))
    if dst.endswith("/") and "://" not in dst:
        from fusion_core.sink.images import ImageFolderSink

        return ImageFolderSink(Path(dst))
    path = Path(dst)
    if path.suffix in {".mp4", ".mkv"}:
        from fusion_core.sink.video import VideoSink

        return VideoSink(path, overlay=overlay)
    if path.suffix == ".jsonl":
        from fusion_core.sink.jsonl import JsonlSink

        return JsonlSink(path)
    hint = f"for the folder write {dst}/; " if path.is_dir() else ""
    raise UsageError(f"output {dst!r} has no known form: {hint}expected {_FORMS}")
