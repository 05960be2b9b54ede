"""Where fused frames go: videos, folders, JSON lines, bags and sockets."""

from fusion_core.sink.base import Sink
from fusion_core.sink.factory import open_sink

__all__ = ["Sink", "open_sink"]
