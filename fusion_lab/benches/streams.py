"""Pairs of recorded and synthetic streams."""

from __future__ import annotations

from collections.abc import Iterator

from fusion_core.source import Source
from fusion_core.sync import SyncConfig, Synchronizer
from fusion_core.types import FramePair


def synchronised(source: Source) -> Iterator[FramePair]:
    """Iterate over the pairs of a recorded source, in order."""
    sync = Synchronizer(SyncConfig())
    for frame in source.frames():
        yield from sync.push(frame)
    yield from sync.flush()
