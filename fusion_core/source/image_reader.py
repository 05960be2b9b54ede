"""One image file after the other to the form its stream has inside."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import EncodingError
from fusion_core.radiometry import temperatures
from fusion_core.source.dji import dji_counts
from fusion_core.source.flir import (
    FlirRecords,
    camera_of,
    flir_records,
    raw_counts,
    visible_content,
    visible_picture,
    visible_to_thermal,
)
from fusion_core.source.image_files import ImageItem
from fusion_core.transport.bit_depth import BitDepth
from fusion_core.transport.exposure import file_exposure_s
from fusion_core.transport.image_codec import normalise_picture, to_modality
from fusion_core.transport.jpeg_file import SOI
from fusion_core.transport.orientation import read_orientation, upright
from fusion_core.transport.picture import (
    MAX_DECODED_PIXELS,
    MAX_PIXELS,
    bounded,
    decode_picture,
    is_animated,
    picture_size,
    significant_bits,
)
from fusion_core.types import Modality, Radiometry, Unit

_log = logging.getLogger(__name__)
_SAMPLES: Final = 5  # images that decide the bit depth of a stream


@dataclass(frozen=True, slots=True, eq=False)
class ReadImage:
    """An image and what belongs to it, as a ``Frame`` holds them."""

    image: NDArray[Any]
    encoding: str
    unit: Unit = "counts"
    from_visible: NDArray[np.float64] | None = None
    radiometry: Radiometry | None = None
    exposure_s: float | None = None


class ImageReader:
    """Reads the images of one stream.

    Radiometric JPEG files give their temperatures to the thermal stream (FLIR; raw counts for DJI)
    and the visible picture inside them to the visible one. Images above ``MAX_PIXELS`` are reduced
    by a whole factor, with one warning.

    Args:
        modality: What the images show.
        items: All images of the stream: some of them decide the depth of 16-bit visible ones.
        shared: The files give both streams, so that the geometry inside them holds.
    """

    def __init__(
        self, modality: Modality, items: Sequence[ImageItem], *, shared: bool = False
    ) -> None:
        self._modality: Modality = modality
        self._shared = shared
        self._items = items
        self._depth: BitDepth | None = None
        self._warned = self._animated = False

    def read(self, item: ImageItem) -> ReadImage:
        """Read one image.

        Raises:
            EncodingError: It is truncated, of an unusable type, or shows the other stream.
            OSError: The file cannot be read.
        """
        data = item.path.read_bytes()
        if data.startswith(SOI):
            radiometric = self._radiometric(data)
            if radiometric is not None:
                return radiometric
        picture = self._bounded(decode_picture(data, item.page, limit=MAX_DECODED_PIXELS))
        self._warn_of_animation(item.path, data)
        image, encoding = normalise_picture(picture)
        shown = self._modality == "visible" or encoding == "rgb16"
        if shown and image.dtype == np.uint16 and self._depth is None:
            self._depth = self._stream_depth(data)
        image, encoding = to_modality(image, encoding, self._modality, self._depth)
        exposure_s = file_exposure_s(data) if self._modality == "visible" else None
        return ReadImage(image, encoding, exposure_s=exposure_s)

    def _radiometric(self, data: bytes) -> ReadImage | None:
        """Return what a radiometric JPEG holds for this stream, None when it is none."""
        records = flir_records(data)
        counts = None
        if records is None or records.raw is None:
            counts = dji_counts(data)
            if counts is None:
                return None
        orientation = read_orientation(data)
        if self._modality == "visible":
            if records is None or records.visible is None:
                raise EncodingError(
                    "radiometric JPEG without a visible picture inside: give it as the thermal "
                    "input"
                )
            return ReadImage(self._bounded(visible_picture(records.visible, orientation)), "rgb8")
        if counts is not None:
            return ReadImage(upright(counts, orientation), "mono16")
        assert records is not None
        thermal = _flir_thermal(records, orientation)
        if not self._shared or orientation != 1:
            return thermal
        return replace(thermal, from_visible=_geometry(records, thermal.image))

    def _bounded(self, picture: NDArray[Any]) -> NDArray[Any]:
        smaller = bounded(picture)
        if smaller is not picture and not self._warned:
            self._warned = True
            _log.warning(
                "%s images of %dx%d pixels are reduced to %dx%d: the limit is %.1f megapixels",
                self._modality,
                picture.shape[1],
                picture.shape[0],
                smaller.shape[1],
                smaller.shape[0],
                MAX_PIXELS / 1e6,
            )
        return smaller

    def _warn_of_animation(self, path: Path, data: bytes) -> None:
        if not self._animated and is_animated(data):
            self._animated = True
            _log.warning("%s: of an animation only the first picture is used", path)

    def _stream_depth(self, data: bytes) -> BitDepth:
        """Return the depth that images from the whole stream have."""
        declared = significant_bits(data)
        depth = BitDepth(declared)
        if declared:
            return depth
        step = max(1, (len(self._items) - 1) // (_SAMPLES - 1))
        for item in self._items[::step]:
            try:
                picture = decode_picture(
                    item.path.read_bytes(), item.page, limit=MAX_DECODED_PIXELS
                )
            except (EncodingError, OSError):
                continue
            if picture.dtype == np.uint16:
                depth.include(picture)
        return depth


def holds_both_streams(path: Path) -> bool:
    """Return whether a file is a radiometric JPEG with a visible picture inside."""
    try:
        records = flir_records(path.read_bytes())
    except (EncodingError, OSError):
        return False
    return records is not None and None not in {records.raw, records.visible}


def _flir_thermal(records: FlirRecords, orientation: int) -> ReadImage:
    assert records.raw is not None
    counts = raw_counts(records.raw)
    if records.camera is None:
        return ReadImage(upright(counts, orientation), "mono16")
    camera = camera_of(records.camera)
    celsius = upright(temperatures(counts, camera), orientation)
    return ReadImage(celsius, "32FC1", "celsius", radiometry=camera)


def _geometry(records: FlirRecords, thermal: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return the map from visible to thermal pixels, None where the file lacks it."""
    if records.visible is None or records.geometry is None:
        return None
    content = visible_content(records.visible)
    size = picture_size(content)
    if size is None or read_orientation(content) != 1 or size[0] * size[1] > MAX_PIXELS:
        return None
    return visible_to_thermal(records.geometry, size, (thermal.shape[0], thermal.shape[1]))
