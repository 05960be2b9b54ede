"""Folders of images."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fusion_core.errors import EncodingError, SourceError, UsageError
from fusion_core.runtime.drop_log import DropLog
from fusion_core.source.image_files import ImageItem, list_images, list_items
from fusion_core.source.image_pairing import PairingSlot, places_by_name
from fusion_core.source.image_reader import ImageReader, holds_both_streams
from fusion_core.source.name_stamps import parse_stamps, resembles_stamp
from fusion_core.types import Frame, Modality

_log = logging.getLogger(__name__)
_NS: Final = 1_000_000_000
_RATE_HZ: Final = 30


@dataclass(frozen=True, slots=True)
class TimedImage:
    """A picture of an image input.

    Attributes:
        item: Where it is.
        stamp_ns: Capture time in nanoseconds.
        shared: Its file gives both streams.
        alone: It is left out, because the other input lacks its partner.
    """

    item: ImageItem
    stamp_ns: int
    shared: bool
    alone: bool = False


def time_images(specs: Sequence[str | Path], *, relative: bool = False) -> list[list[TimedImage]]:
    """Return when the images of the inputs of one recording were taken.

    Where the names of every input hold times, these count (see ``parse_stamps``). Otherwise images
    are 1/30 s apart in natural order of their names, and two inputs are paired by their names (see
    ``places_by_name``): counting in each alone would pair all images after a missing one
    wrongly. Pages of one file are 1/30 s apart.

    Args:
        specs: One or two inputs, see ``list_images``.
        relative: Count times from the first image, to go with an input that begins at zero.

    Returns:
        The images of each input, in order of time.

    Raises:
        SourceError: An input holds no images, or the images cannot be paired.
        UsageError: Both inputs are the same images, and these do not hold both streams.
    """
    listed = [list_images(spec) for spec in specs]
    shared = _share_files(listed)
    items = [list_items(paths) for paths in listed]
    parsed = [_parse_names([path.stem for path in paths]) for paths in listed]
    known = [stamps for stamps in parsed if stamps is not None]
    if len(known) == len(listed):
        start = min(min(stamps) for stamps in known) if relative else 0
        stamp_of = [
            {path: stamp - start for path, stamp in zip(paths, stamps, strict=True)}
            for paths, stamps in zip(listed, known, strict=True)
        ]
        timed = [
            [TimedImage(item, stamps[item.path] + _interval(item.page), shared) for item in group]
            for group, stamps in zip(items, stamp_of, strict=True)
        ]
    else:
        _warn_of_unused_stamps(listed)
        names = [[item.name for item in group] for group in items]
        if len(names) == 2:
            places = list(places_by_name(*names))
        else:
            places = [[PairingSlot(index) for index in range(len(names[0]))]]
        timed = [
            [
                TimedImage(item, _interval(place.index), shared, place.alone)
                for item, place in zip(group, order, strict=True)
            ]
            for group, order in zip(items, places, strict=True)
        ]
    return [sorted(group, key=lambda image: image.stamp_ns) for group in timed]


class ImageStream:
    """A folder of images as one camera stream; see ``RecordedStream``.

    Args:
        images: What to read, as ``time_images`` returns it.
        modality: What the images show.
    """

    def __init__(self, images: Sequence[TimedImage], modality: Modality) -> None:
        self.drop_log = DropLog()
        self._modality: Modality = modality
        self._images = [image for image in images if not image.alone]
        self._alone = [image for image in images if image.alone]
        self.total = len(self._images) if modality == "visible" else None

    def frames(self) -> Iterator[Frame]:
        """Read image by image; one that cannot be read is left out.

        Raises:
            SourceError: At the end, when no image could be read.
        """
        for image in self._alone:
            self.drop_log.record_drop(self._modality, "no_partner", image.stamp_ns)
        items = [image.item for image in self._images]
        reader = ImageReader(
            self._modality, items, shared=any(image.shared for image in self._images)
        )
        reason, failed = "", 0
        for index, image in enumerate(self._images):
            path, stamp_ns = image.item.path, image.stamp_ns
            try:
                read = reader.read(image.item)
            except (EncodingError, OSError) as error:
                _log.warning("%s: left out: %s", path, error)
                self.drop_log.record_drop(self._modality, "corrupt", stamp_ns)
                reason, failed = reason or f"{path}: {error}", failed + 1
                continue
            yield Frame(
                stamp_ns,
                self._modality,
                read.image,
                read.encoding,
                "",
                index,
                name=image.item.name,
                unit=read.unit,
                from_visible=read.from_visible,
                radiometry=read.radiometry,
                exposure_s=read.exposure_s,
            )
        if failed == len(self._images):
            raise SourceError(f"{reason}; none of {failed} {self._modality} images can be read")

    def close(self) -> None:
        """Nothing stays open between images."""


def _interval(count: int) -> int:
    return round(count * _NS / _RATE_HZ)


def _parse_names(stems: list[str]) -> list[int] | None:
    """Return the times in names, also where all end in the same word after the time."""
    stamps = parse_stamps(stems)
    if stamps is not None:
        return stamps
    shortened = [stem.rstrip("".join({c for c in stem if not c.isdecimal()})) for stem in stems]
    endings = {stem[len(short) :] for stem, short in zip(stems, shortened, strict=True)}
    return parse_stamps(shortened) if len(endings) == 1 else None


def _share_files(listed: list[list[Path]]) -> bool:
    """Return whether two inputs share files.

    Raises:
        UsageError: They do, and a shared file does not hold both streams.
    """
    if len(listed) < 2:
        return False
    first, second = ({path.resolve() for path in paths} for paths in listed)
    shared = sorted(first & second)
    if shared and not holds_both_streams(shared[0]):
        raise UsageError(
            f"{shared[0]} is in the visible and in the thermal input; give each stream its own "
            "folder, or its own pattern such as 'DIR/*_W.JPG' and 'DIR/*_T.JPG'"
        )
    return bool(shared)


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
