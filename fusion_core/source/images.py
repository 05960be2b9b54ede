"""Folders of images."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from fusion_core.errors import EncodingError, SourceError
from fusion_core.transport.image_codec import decode_compressed
from fusion_core.types import Frame, Modality

_log = logging.getLogger(__name__)
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".pgm", ".ppm"})
_STAMP = re.compile(r"[0-9]{16,19}")
_NS = 1_000_000_000
_RATE_HZ = 30


def natural_key(name: str) -> list[int | str]:
    """Return a sort key under which ``frame_10`` comes after ``frame_9``."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [int(part) if index % 2 else part for index, part in enumerate(parts)]


def list_images(folder: Path) -> list[Path]:
    """Return the images of a folder in natural order of their names.

    Raises:
        SourceError: There are none.
    """
    paths = [path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES]
    if not paths:
        raise SourceError(
            f"{folder}: holds no images; expected files that end in {', '.join(sorted(_SUFFIXES))}"
        )
    return sorted(paths, key=lambda path: natural_key(path.name))


def common_order(first: Path, second: Path) -> dict[str, int] | None:
    """Return positions for the stems of two folders whose files are named alike.

    Where one folder lacks a file, counting files in each would pair all later ones wrongly.

    Returns:
        Stem -> position in the union of both, None when the folders share no stem.
    """
    stems = [{path.stem for path in list_images(folder)} for folder in (first, second)]
    if not stems[0] & stems[1]:
        return None
    union = sorted(stems[0] | stems[1], key=natural_key)
    return {stem: position for position, stem in enumerate(union)}


class ImageStream:
    """A folder of images as one camera stream; see ``RecordedStream``.

    If every stem is a number of 16 to 19 digits, it is the stamp in nanoseconds; otherwise
    frames are 1/30 s apart in natural order of their names.

    Args:
        folder: Folder of 8-bit, 16-bit or float images.
        modality: What the images show.
        order: Stem -> position in time; the order within the folder when None.

    Raises:
        SourceError: The folder holds no images.
    """

    def __init__(
        self, folder: Path, modality: Modality, order: Mapping[str, int] | None = None
    ) -> None:
        self.skipped: Counter[str] = Counter()
        self._folder = folder
        self._modality: Modality = modality
        self._paths = list_images(folder)
        self._order = order
        self._stamped = all(_STAMP.fullmatch(path.stem) for path in self._paths)
        self.total = len(self._paths) if modality == "visible" else None

    def frames(self) -> Iterator[Frame]:
        """Read image by image; a torn one is left out.

        Raises:
            SourceError: At the end, when images were torn.
        """
        torn = ""
        for index, path in enumerate(self._paths):
            try:
                data = path.read_bytes()
                image, encoding = decode_compressed(path.suffix[1:], data, self._modality)
            except (EncodingError, OSError) as error:
                _log.warning("%s: left out: %s", path, error)
                self.skipped["corrupt"] += 1
                torn = torn or f"{path}: frame {index} cannot be read ({error})"
                continue
            stamp = self._stamp(path.stem, index)
            yield Frame(stamp, self._modality, image, encoding, "", index, name=path.stem)
        if torn:
            count = self.skipped["corrupt"]
            raise SourceError(f"{torn}; {count} such left out of {len(self._paths)}: replace them")

    def close(self) -> None:
        """Nothing stays open between images."""

    def _stamp(self, stem: str, index: int) -> int:
        if self._stamped:
            return int(stem)
        position = self._order[stem] if self._order else index
        return round(position * _NS / _RATE_HZ)
