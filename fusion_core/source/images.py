"""Folders of images."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from fusion_core.errors import EncodingError, SourceError
from fusion_core.runtime.drop_log import DropLog
from fusion_core.source.name_stamps import parse_stamps, resembles_stamp
from fusion_core.transport.image_codec import decode_compressed
from fusion_core.types import Frame, Modality

_log = logging.getLogger(__name__)
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".pgm", ".ppm"})
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


def folder_stamps(*folders: Path, relative: bool = False) -> dict[Path, int]:
    """Return when the images of the folders of one recording were taken.

    Where the names of every folder hold times, these count (see ``parse_stamps``). Otherwise images
    are 1/30 s apart in natural order of their names. Folders that share names share one order:
    where one folder lacks a file, counting in each alone would pair all later ones wrongly.

    Args:
        folders: One or two folders.
        relative: Count times from the first image, to go with an input that begins at zero.

    Returns:
        Path of the image -> nanoseconds.

    Raises:
        SourceError: A folder holds no images.
    """
    listed = [list_images(folder) for folder in folders]
    parsed = [parse_stamps([path.stem for path in paths]) for paths in listed]
    known = [stamps for stamps in parsed if stamps is not None]
    if len(known) == len(listed):
        start = min(min(stamps) for stamps in known) if relative else 0
        return {
            path: stamp - start
            for paths, stamps in zip(listed, known, strict=True)
            for path, stamp in zip(paths, stamps, strict=True)
        }
    _warn_of_unused_stamps(listed)
    stems = [{path.stem for path in paths} for paths in listed]
    if not set.intersection(*stems) or len(stems) == 1:
        positions = {path: index for paths in listed for index, path in enumerate(paths)}
    else:
        union = sorted(set.union(*stems), key=natural_key)
        index_of = {stem: index for index, stem in enumerate(union)}
        positions = {path: index_of[path.stem] for paths in listed for path in paths}
    return {path: round(index * _NS / _RATE_HZ) for path, index in positions.items()}


def _warn_of_unused_stamps(listed: list[list[Path]]) -> None:
    """Log names that look like times when they are not used as such."""
    paths = [path for images in listed for path in images]
    timed = [path for path in paths if resembles_stamp(path.stem)]
    if not timed:
        return
    other = next((path for path in paths if path not in set(timed)), paths[-1])
    _log.warning(
        "%s: named like a time, as %d of %d images are, but the names are not used: they are not "
        "all times of one form and unit (see %s); images are taken as 1/%d s apart: rename them",
        timed[0],
        len(timed),
        len(paths),
        other,
        _RATE_HZ,
    )


class ImageStream:
    """A folder of images as one camera stream; see ``RecordedStream``.

    Args:
        folder: Folder of 8-bit, 16-bit or float images.
        modality: What the images show.
        stamps: Path of the image -> capture time in nanoseconds; ``folder_stamps`` of this folder
            when None.

    Raises:
        SourceError: The folder holds no images.
    """

    def __init__(
        self, folder: Path, modality: Modality, stamps: Mapping[Path, int] | None = None
    ) -> None:
        self.drop_log = DropLog()
        self._modality: Modality = modality
        self._stamps = folder_stamps(folder) if stamps is None else stamps
        self._paths = sorted(list_images(folder), key=lambda path: self._stamps[path])
        self.total = len(self._paths) if modality == "visible" else None

    def frames(self) -> Iterator[Frame]:
        """Read image by image; a torn one is left out.

        Raises:
            SourceError: At the end, when images were torn.
        """
        torn, count = "", 0
        for index, path in enumerate(self._paths):
            stamp_ns = self._stamps[path]
            try:
                data = path.read_bytes()
                image, encoding = decode_compressed(path.suffix[1:], data, self._modality)
            except (EncodingError, OSError) as error:
                _log.warning("%s: left out: %s", path, error)
                self.drop_log.record_drop(self._modality, "corrupt", stamp_ns)
                count += 1
                torn = torn or f"{path}: frame {index} cannot be read ({error})"
                continue
            yield Frame(stamp_ns, self._modality, image, encoding, "", index, name=path.stem)
        if torn:
            raise SourceError(f"{torn}; {count} such left out of {len(self._paths)}: replace them")

    def close(self) -> None:
        """Nothing stays open between images."""
