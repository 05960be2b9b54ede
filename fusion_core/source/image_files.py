"""Which files an image input consists of."""

from __future__ import annotations

import glob
import logging
import mmap
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fusion_core.errors import SourceError
from fusion_core.transport.tiff_file import frame_pages, tiff_pages

_log = logging.getLogger(__name__)
_TIFF: Final = frozenset({".tif", ".tiff"})
_SUFFIXES: Final = _TIFF | {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm", ".ppm"}


@dataclass(frozen=True, slots=True)
class ImageItem:
    """One picture of an image input.

    Attributes:
        path: Its file.
        page: Index among the frames of a TIFF file of several pages, else 0.
        name: Stem of the file, with the number of the page where there are several.
    """

    path: Path
    page: int
    name: str


def natural_key(name: str) -> list[int | str]:
    """Return a sort key under which ``frame_10`` comes after ``frame_9``."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


def is_image_input(spec: str | Path) -> bool:
    """Return whether an input is a folder, a pattern of file names, or one image file."""
    path = Path(spec).expanduser()
    if path.is_dir():
        return True
    images = path.suffix.lower() in _SUFFIXES
    return (images and path.is_file()) or (_is_pattern(path) and not path.exists())


def list_images(spec: str | Path) -> list[Path]:
    """Return the images of an input in natural order of their names.

    Hidden files, among them the companions ``._*`` that some systems leave, are not images.

    Args:
        spec: A folder, an image file, or a pattern such as ``DIR/*_T.JPG``.

    Raises:
        SourceError: There are none.
    """
    path = Path(spec).expanduser()
    found = list(path.iterdir()) if path.is_dir() else matching_paths(path)
    images = [
        image
        for image in found
        if image.suffix.lower() in _SUFFIXES and not image.name.startswith(".") and image.is_file()
    ]
    if not images:
        verb = "holds" if path.exists() else "matches"
        raise SourceError(
            f"{spec}: {verb} no images; expected files that end in {', '.join(sorted(_SUFFIXES))}"
        )
    return sorted(images, key=lambda image: natural_key(str(image)))


def matching_paths(spec: str | Path) -> list[Path]:
    """Return the files and folders that a pattern matches, or the path itself where it is none."""
    path = Path(spec).expanduser()
    if path.exists() or not _is_pattern(path):
        return [path]
    return list(Path(path.anchor).glob(str(path.relative_to(path.anchor))))


def list_items(paths: list[Path]) -> list[ImageItem]:
    """Return every picture of the files: each page of a TIFF file is one."""
    items: list[ImageItem] = []
    for path in paths:
        count = _count_pages(path) if path.suffix.lower() in _TIFF else 1
        digits = len(str(count - 1))
        items += [
            ImageItem(path, page, path.stem if count == 1 else f"{path.stem}_{page:0{digits}d}")
            for page in range(count)
        ]
    return items


def _is_pattern(path: Path) -> bool:
    return glob.has_magic(str(path))


def _count_pages(path: Path) -> int:
    """Return how many frames a TIFF file holds, at least one: a broken file is reported later."""
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            frames = len(frame_pages(data))
            others = sum(not page.reduced for page in tiff_pages(data)) - frames
    except (OSError, ValueError):
        return 1
    if others > 0:
        _log.warning(
            "%s: %d pages differ from the first in size or type and are left out", path, others
        )
    return max(1, frames)
