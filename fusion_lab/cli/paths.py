"""Outputs that would destroy the data they are made from."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from fusion_core.runtime.overlap import refuse_overlap

_FOLDERS: Final = frozenset({"vi", "ir", "a", "b", "gt", "labels", "masks"})
_VIDEOS: Final = frozenset({"vi.mp4", "ir.mp4"})


def check_outputs(
    data: Iterable[Path], files: Iterable[str | Path | None], outputs: Iterable[Path | None]
) -> None:
    """Refuse outputs that are, or lie in, the pictures of a data set or another input.

    Args:
        data: Folders of pairs, at any depth.
        files: Further inputs; names that are no files or folders are passed over, as are empty
            ones.
        outputs: What will be written.

    Raises:
        UsageError: Two of them overlap.
    """
    inputs = [path for folder in data for path in _pictures(folder)]
    inputs += [Path(path) for path in files if path]
    refuse_overlap(inputs, filter(None, outputs))


def _pictures(folder: Path) -> Iterator[Path]:
    """Yield the folders and videos below a folder that hold pictures or what belongs to them."""
    for place, folders, names in os.walk(folder):
        yield from (Path(place) / name for name in _FOLDERS.intersection(folders))
        yield from (Path(place) / name for name in _VIDEOS.intersection(names))
        folders[:] = [name for name in folders if name not in _FOLDERS]
