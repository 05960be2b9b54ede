"""Where frames come from: videos, folders, bags, cameras, sockets and a synthetic scene."""

from fusion_core.source.base import Source
from fusion_core.source.factory import open_source

__all__ = ["Source", "open_source"]
