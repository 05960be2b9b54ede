"""Pictures as the parts under test take them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from fusion_core.types import UInt8Image
from fusion_lab.data import Example, pair_files, read_example

# Wider pictures are halved: these cameras see 640 pixels.
_WIDE = 900


def read_pictures(folder: Path, every: int = 1) -> Iterator[Example]:
    """Read every n-th visible and thermal pair of a folder, no wider than 900 pixels.

    Raises:
        SourceError: The folder holds no pairs, or one cannot be read.
        EncodingError: An image is not 8-bit.
    """
    for files in pair_files(folder)[::every]:
        pair = read_example(files)
        if pair.second.shape[1] > _WIDE:
            size = (pair.second.shape[1] // 2, pair.second.shape[0] // 2)
            pair = resized_pair(pair, size, cv2.INTER_AREA)
        yield pair


def resized_pair(
    pair: Example, size: tuple[int, int], interpolation: int = cv2.INTER_LINEAR
) -> Example:
    """Return both pictures at another (width, height); nothing else of the pair is kept."""
    first, second = (
        np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)
        for image in (pair.first, pair.second)
    )
    return replace(pair, first=first, second=second, target=None, mask=None, labels=None)


def write_picture(path: Path, rgb: UInt8Image, quality: int = 88) -> None:
    """Write ``HxWx3`` RGB in the format of the suffix; ``quality`` is that of a JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
